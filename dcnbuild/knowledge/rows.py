"""Reads the tables that people wrote: YAML lists of rows, each with its source."""

from __future__ import annotations

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
    import yaml  # here: whoever asks only the generated tables does not pay for it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load((_FOLDER / file).read_text(encoding="utf-8"), Loader=loader)
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
