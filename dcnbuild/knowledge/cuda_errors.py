"""The errors of CUDA's runtime and driver, which programs print by name, number or text: cuda_errors.json."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from dcnbuild.knowledge.rows import read

_NAME = re.compile(r"\b(?:cudaError[A-Z]|CUDA_ERROR_)\w+")


@dataclass(frozen=True)
class CudaError:
    """One row; the fields are described at the head of tools/knowledge/written/cuda_errors.yaml."""

    code: int
    text: str
    source: str
    runtime: str = ""
    driver: str = ""
    means: str = ""
    do: str = ""
    own: bool = False


def rows() -> tuple[CudaError, ...]:
    """Every row."""
    return read("cuda_errors.json", CudaError)


@cache
def _by_name() -> dict[str, CudaError]:
    return {name: row for row in rows() for name in (str(row.code), row.runtime, row.driver) if name}


def named(name: str) -> CudaError | None:
    """The error of a name, e.g. "cudaErrorNoDevice", "CUDA_ERROR_NO_DEVICE", or of a number, e.g. "100"."""
    return _by_name().get(name)


def said(line: str) -> CudaError | None:
    """The error that a line names, or whose text it has: of several texts the longest."""
    by_name = next(filter(None, (named(found[0]) for found in _NAME.finditer(line))), None)
    return by_name or max((row for row in rows() if row.text in line), key=lambda row: len(row.text), default=None)
