"""The errors of CUDA's runtime and driver, which programs print by name, number or text: cuda_errors.json."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from dcnbuild.knowledge.rows import read

_NAME = re.compile(r"\b(?:cudaError[A-Z]|CUDA_ERROR_)\w{2,60}\b")
#: An error that a message gives by its number, without words.
_NUMBERED = re.compile(
    r"(?i)\bcuda\b[^\n.]{0,60}?\b(?:error|failure)(?: code| status)?[ :=(]{1,3}(?P<error>\d{1,3})\b"
    r"(?![\w:)]* ?[(:]? ?(?!(?:at|in|on|from|for|file|line)\b)[a-z])"
)
#: One that it gives by its name, which is not quoted from source; a line of source.
_NAMED = re.compile(rf"(?<![\x27\"\u2018\u201c`])(?P<error>{_NAME.pattern})(?![\x27\"\u2019\u201d`;,])")
_SOURCE = re.compile(r"[=!]= ?(?:cuda|CUDA_)|\b(?:case|return|define) |^ {0,12}\d{0,6} \|")


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


def texts() -> list[str]:
    """The texts that are nobody else's, each once."""
    return list(dict.fromkeys(row.text for row in rows() if row.own))


def in_words(line: str) -> str:
    """The line of a log with the text behind an error that it gives by number or name alone."""
    found = _NUMBERED.search(line) or _NAMED.search(line)
    error = named(found["error"]) if found else None
    if not found or not error or not error.own or error.text in line or _SOURCE.search(line):
        return line
    return f"{line[: found.end()]} ({error.text}){line[found.end() :]}"
