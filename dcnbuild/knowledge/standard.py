"""Which headers bring which names of C's and C++'s standard library, from standard_headers.json.

Headers bring what they need themselves, which is more than their own names and changes from release to release: a
source that leans on it stops compiling when its other headers bring less.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import NamedTuple

#: Stands for the headers that nvcc puts before every source.
OF_NVCC = "nvcc"


class _Table(NamedTuple):
    headers: frozenset[str]
    homes: dict[str, str]
    brought: dict[str, frozenset[str]]


@cache
def _table() -> _Table:
    read = json.loads(Path(__file__).with_name("standard_headers.json").read_text(encoding="utf-8"))
    headers = read["headers"]
    rows = [(name, home, where) for names, home, where in read["names"] for name in names]
    return _Table(
        headers=frozenset(headers),
        homes={name: home for name, home, _ in rows},
        brought={name: frozenset(headers[index] for index in where) for name, _, where in rows},
    )


@cache
def pattern() -> str:
    """A regular expression for the names without `std::`."""
    return "|".join(sorted({name.rpartition("::")[2] for name in _table().homes}))


def all_known(headers: Collection[str]) -> bool:
    """Whether the table says of each of some headers what it brings."""
    return _table().headers.issuperset(headers)


def lacking(name: str, headers: Collection[str]) -> str | None:
    """The header to include for a name, as code has it ("std::unique_ptr", "memcpy").

    None where one of the headers brings it, or the name is not known.
    """
    home = _table().homes.get(name)
    return None if home is None or not _table().brought[name].isdisjoint(headers) else home
