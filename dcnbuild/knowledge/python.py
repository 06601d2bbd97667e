"""CPython's standard library and its C API, for every release from 3.6 to 3.13."""

from __future__ import annotations

from pathlib import Path

from dcnbuild.knowledge.entry import Entry
from dcnbuild.knowledge.replacements import of_table
from dcnbuild.knowledge.store import Table

_FOLDER = Path(__file__).parent
LIBRARY_TABLE = Table(_FOLDER / "python.zip", ".", of_table("python"))
C_TABLE = Table(_FOLDER / "python_c.zip", "::", of_table("python_c"))


def find(name: str) -> list[Entry]:
    """Every entry of a name, e.g. "distutils", "collections.Mapping", "PyFrameObject::f_code"."""
    return LIBRARY_TABLE.find(name) + ([] if "." in name else C_TABLE.find(name))
