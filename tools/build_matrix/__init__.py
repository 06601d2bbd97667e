"""Builds and tests the pairs of matrix.yaml: `nox -s build_matrix`, `nox -s wheel`, `nox -s wheel_matrix`.

noxfile.py makes the environments and runs `row.py` in each. This package needs a checkout, and is never installed.
"""
