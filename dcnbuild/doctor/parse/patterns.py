"""Regular expressions over lines: what looks for their literal parts first, and parts that many of them have."""

from __future__ import annotations

import re
from functools import cached_property

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


class Sought:
    """A regular expression, and a literal part of all that it matches, which is looked for first."""

    def __init__(self, needle: str, pattern: str) -> None:
        self.needle = needle
        self.pattern = pattern

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)  # when a log has the needle

    def search(self, text: str) -> re.Match[str] | None:
        """The first match in a line."""
        return self._compiled.search(text) if self.needle in text else None
