"""CUDA's C and C++ API, from its headers: runtime, driver, Thrust, CUB, libcu++, NVTX and libraries.

`removed` names the first release read that has it no longer. Of the small packages every minor
release from 11.7 on was read; of cuBLAS, cuSPARSE, cuSOLVER, cuFFT and NPP those in which their
major version changed, so that there `removed` is the latest that it can be.
"""

from __future__ import annotations

from pathlib import Path

from dcnbuild.knowledge.entry import Entry
from dcnbuild.knowledge.replacements import of_table
from dcnbuild.knowledge.store import Table

TABLE = Table(Path(__file__).with_name("cuda.zip"), "::", of_table("cuda"))


def find(name: str) -> list[Entry]:
    """Every entry of a name, e.g. "cub::TransformInputIterator", "clockRate", "cuCtxCreate"."""
    return TABLE.find(name)
