"""What stands for a name today: replacements.json, merged into the entries that lookups return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from dcnbuild.knowledge.entry import Entry
from dcnbuild.knowledge.rows import read


@dataclass(frozen=True)
class Replacement:
    """One row of replacements.json.

    Attributes:
        table: the table that holds the name: "cuda", "torch_cpp", "torch_python", "numpy", "python".
        names: the names that it is for, with their scopes.
        use: what to write today; "" for "drop it".
        source: where that is said.
        note: what else to know.
    """

    table: str
    names: tuple[str, ...]
    use: str
    source: str
    note: str = ""


def of_table(table: str) -> Callable[[Entry], Entry]:
    """The function that adds to an entry of this table what stands for it today."""

    def complete(entry: Entry) -> Entry:
        row = _by_name(table).get(entry.name)
        if row is None:
            return entry
        return replace(entry, replacement=row.use, note=row.note, replacement_source=row.source)

    return complete


@cache
def _by_name(table: str) -> dict[str, Replacement]:
    return {name: row for row in rows() if row.table == table for name in row.names}


def rows() -> tuple[Replacement, ...]:
    """Every row."""
    return read("replacements.json", Replacement)
