"""Headers of every table: CUDA's, torch's, numpy's, CPython's.

`changes` of a header tells in which folder of the toolkit it lies from which release on: those of
Thrust, CUB and libcu++ moved from include/ to include/cccl/ in CUDA 13.0.
"""

from __future__ import annotations

from dcnbuild.knowledge import cuda
from dcnbuild.knowledge.entry import Entry

_TABLES = (cuda.TABLE,)


def find(path: str) -> list[Entry]:
    """Every header with this path or this end of a path, e.g. "nvToolsExt.h", "thrust/tuple.h"."""
    return [entry for table in _TABLES for entry in table.find_header(path)]
