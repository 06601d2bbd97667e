"""Headers of every table: CUDA's, torch's, numpy's, CPython's.

`changes` of a header tells in which folder it lies from which release on: those of Thrust, CUB and
libcu++ moved from include/ to include/cccl/ of the toolkit in CUDA 13.0.
"""

from __future__ import annotations

from dcnbuild.knowledge import cuda, numpy, python, torch_cpp
from dcnbuild.knowledge.entry import Entry, just

_TABLES = (cuda.TABLE, torch_cpp.TABLE, numpy.C_TABLE, python.C_TABLE)


def find(path: str) -> list[Entry]:
    """Every header with this path or this end of a path, e.g. "nvToolsExt.h", "THC/THC.h"."""
    return [entry for table in _TABLES for entry in table.find_header(path)]


def exact(path: str) -> Entry | None:
    """The header by its whole name."""
    return just(find(path), path)
