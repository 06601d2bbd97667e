"""Reads the tables that people wrote: lists of rows, each with its source.

They are written in YAML, in tools/knowledge/written; what is shipped is their JSON form.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

_Row = TypeVar("_Row")
_FOLDER = Path(__file__).parent


class KnowledgeError(ValueError):
    """A table does not hold what it must; the text names the file, the row and the field."""


@cache
def read(file: str, kind: type[_Row]) -> tuple[_Row, ...]:
    """The rows of a file of this folder as dataclasses. Raises KnowledgeError for a bad row.

    A field of `kind` may be left out in the file where it has a default; lists become tuples.
    """
    document = json.loads((_FOLDER / file).read_text(encoding="utf-8"))
    return tuple(_row(file, kind, row) for row in document)


def _row(file: str, kind: Any, row: Any) -> Any:
    fields = kind.__dataclass_fields__
    if not isinstance(row, dict) or not set(row) <= set(fields):
        raise KnowledgeError(f"{file}: {row!r}: expected only the fields {', '.join(fields)}")
    if not row.get("source"):
        raise KnowledgeError(f"{file}: {row!r} has no source")
    try:
        return kind(**{name: _frozen(value) for name, value in row.items()})
    except TypeError as error:
        raise KnowledgeError(f"{file}: {row!r}: {error}") from error


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return value


def fits(name: str, pattern: str) -> bool:
    """Whether a name is one that a row lists; * in the row stands for any characters."""
    start, star, _ = pattern.partition("*")
    if not star:
        return name == pattern
    return name.startswith(start) and fnmatchcase(name, pattern)
