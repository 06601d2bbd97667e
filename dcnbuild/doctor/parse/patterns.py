"""Parts that many regular expressions over lines have, and how the literal texts before them are written."""

from __future__ import annotations

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
