"""Regular expressions over lines: what looks for their literal parts first, and parts that many of them have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

#: (a literal part that a matching line always holds, the regular expression). The literal part is
#: looked for first, which keeps reading fast; the reader asks that it contains one of its WORDS.
Pattern = tuple[str, str]

#: Where a path or a word can begin. A pattern that starts with a run of characters starts with this,
#: or a long run would be searched again from each of its characters.
START = r"(?<![^\s:'\"(<>=\[])"
#: One letter of a path after START: none of those behind which another path can begin, so that a run of
#: them is read once.
LETTER = r"[^\s:'\"(<>=\[]"


def either(needles: str) -> list[str]:
    """The literal parts of which every matching line holds one: "exit code || exit status" has two."""
    return needles.split(" || ")


#: A pattern that was asked about so many lines looks for all literal parts of what it matches first.
_OFTEN = 40


class Sought:
    """A regular expression, and a literal part of all that it matches, which is looked for first."""

    def __init__(self, needle: str, pattern: str) -> None:
        self.needle = needle
        self.pattern = pattern
        self._asked = 0

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)  # when a log has the needle

    @cached_property
    def _literals(self) -> list[str]:
        return sorted(set(literals(self.pattern)), key=len, reverse=True)[:3]

    def search(self, text: str) -> re.Match[str] | None:
        """The first match in a line."""
        if self.needle not in text:
            return None
        self._asked += 1
        if self._asked > _OFTEN and any(part not in text for part in self._literals):
            return None
        return self._compiled.search(text)


def literals(pattern: str) -> Iterator[str]:
    """The texts of three letters and more that every match of a pattern holds: "a.{3}def(ghi|j)" has "def"."""
    try:
        from re import _parser as parser  # type: ignore[attr-defined]
    except ImportError:  # before Python 3.11
        import sre_parse as parser
    yield from _runs(parser.parse(pattern))


def _runs(sequence: Any) -> Iterator[str]:
    run = ""
    for operation, value in sequence:
        name = str(operation)
        if name == "LITERAL":
            run += chr(value)
            continue
        if len(run) > 2:
            yield run
        run = ""
        if name == "SUBPATTERN" and not value[1] & re.IGNORECASE:
            yield from _runs(value[3])
        elif name in ("MAX_REPEAT", "MIN_REPEAT") and value[0]:
            yield from _runs(value[2])
    if len(run) > 2:
        yield run
