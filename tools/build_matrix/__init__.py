"""Builds and tests the pairs of matrix.yaml: `nox -s build_matrix`, `nox -s wheel`, `nox -s wheel_matrix`.

noxfile.py makes the environments and calls `row.py` in each of them. Needs a checkout; nothing of it is installed.
"""
