"""Text edits, and the way back from an edited text to the lines it came from."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

_LINE_END = re.compile(r"\r\n|\r|\n")
_INDENT = re.compile(r"[ \t]*")
#: Nothing but blanks and a comment up to the end of the line.
_REST = re.compile(r"[^\S\r\n]*(?://[^\r\n]*)?(?=[\r\n]|\Z)")


@dataclass(frozen=True)
class Edit:
    """Replace `text[start:end]` by `new`."""

    start: int
    end: int
    new: str


class Revision:
    """A text under edit that knows, for each offset, which line of the first text it came from."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._original = text
        # (offset in text, offset in the original): the pieces that were kept, in order
        self._pieces: list[tuple[int, int]] = [(0, 0)]

    def apply(self, edits: Iterable[Edit]) -> list[tuple[Edit, int]]:
        """Makes the edits, and returns those that took effect with their line of the first text.

        Of edits that overlap, the one that starts first wins, and of those the longest; what is
        inserted at its start comes before it.
        """
        done: list[tuple[Edit, int]] = []
        parts: list[str] = []
        pieces: list[tuple[int, int]] = []
        position = length = 0
        starts = [at for at, _ in self._pieces]

        def keep(until: int) -> None:
            nonlocal length
            pieces.append((length, self._origin(position)))
            inside = slice(bisect.bisect(starts, position), bisect.bisect_left(starts, until))
            pieces.extend((length + at - position, origin) for at, origin in self._pieces[inside])
            parts.append(self.text[position:until])
            length += until - position

        for edit in sorted(edits, key=lambda e: (e.start, e.start < e.end, -e.end)):
            if edit.start >= position and self.text[edit.start : edit.end] != edit.new:
                keep(edit.start)
                origin = self._origin(edit.start)
                done.append((edit, line_of(self._original, origin)))
                pieces.append((length, origin))
                parts.append(edit.new)
                length += len(edit.new)
                position = edit.end
        keep(len(self.text))
        self.text, self._pieces = "".join(parts), pieces
        return done

    def _origin(self, offset: int) -> int:
        start, origin = self._pieces[bisect.bisect(self._pieces, (offset, len(self._original))) - 1]
        return min(origin + offset - start, len(self._original))


def disjoint(groups: Iterable[Sequence[Edit]]) -> Iterator[Edit]:
    """The edits of those groups that share no text with a group before them: one is made as a whole."""
    taken: list[tuple[int, int]] = []
    for group in filter(None, groups):
        span = min(edit.start for edit in group), max(edit.end for edit in group)
        at = bisect.bisect(taken, span)
        if (not at or taken[at - 1][1] <= span[0]) and (at == len(taken) or span[1] <= taken[at][0]):
            taken.insert(at, span)
            yield from group


@lru_cache(maxsize=16)
def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in _LINE_END.finditer(text))]


def line_of(text: str, offset: int) -> int:
    """The number, from 1, of the line that holds an offset."""
    return bisect.bisect(_line_starts(text), offset)


def line_start(text: str, offset: int) -> int:
    """Where the line of an offset begins."""
    return _line_starts(text)[line_of(text, offset) - 1]


def behind_line_end(text: str, offset: int) -> int:
    """Where the next line begins, for an offset where a line ends."""
    return min(offset + (2 if text.startswith("\r\n", offset) else 1), len(text))


def newline_of(text: str) -> str:
    """The line ending that at least half of a text's lines have; "\\n" where there is none."""
    windows = text.count("\r\n")
    return "\r\n" if windows and windows * 2 >= text.count("\n") else "\n"


def indent_of(text: str, offset: int) -> str:
    """The white space that the line of this offset begins with."""
    return _INDENT.match(text, line_start(text, offset))[0]  # type: ignore[index]


def whole_line(text: str, start: int, end: int) -> tuple[int, int]:
    """The span widened to whole lines if only blanks and a // comment share its lines.

    Where an empty line stood on both sides, one of them goes too.
    """
    begin = line_start(text, start)
    rest = _REST.match(text, end)
    if text[begin:start].strip() or rest is None:
        return start, end
    stop = behind_line_end(text, rest.end())
    blank_before = not begin or text.endswith(("\n\n", "\n\r\n", "\r\r"), 0, begin)
    if blank_before and text[stop : stop + 1] in ("\n", "\r"):
        stop = behind_line_end(text, stop)
    return begin, stop
