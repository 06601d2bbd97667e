"""Builds and tests the pairs of matrix.yaml: `nox -s build_matrix`, `nox -s wheel_matrix`, `python -m build_matrix`."""
