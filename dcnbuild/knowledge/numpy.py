"""numpy's Python names and its C API, for every minor release since 1.17."""

from __future__ import annotations

from pathlib import Path

from dcnbuild.knowledge.entry import Entry
from dcnbuild.knowledge.replacements import of_table
from dcnbuild.knowledge.store import Table

_FOLDER = Path(__file__).parent
PYTHON_TABLE = Table(_FOLDER / "numpy.zip", ".", of_table("numpy"))
C_TABLE = Table(_FOLDER / "numpy_c.zip", "::", of_table("numpy_c"))


def find(name: str) -> list[Entry]:
    """Every entry of a name, e.g. "numpy.float", "np.bool", "PyArray_FromDims", "NPY_CHAR"."""
    if name.startswith("np."):
        name = "numpy" + name[2:]
    return PYTHON_TABLE.find(name) + ([] if "." in name else C_TABLE.find(name))
