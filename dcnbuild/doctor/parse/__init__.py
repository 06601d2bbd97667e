"""From a log to records: what each message says, whichever tool says it and however it is wrapped.

`Log` gives the lines, cleaned and in English; `Reading.records` what they say; `tracebacks` how
Python programs ended. Nothing here knows why a build failed: that is `dcnbuild.doctor.logs`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property

from dcnbuild.doctor.parse.shapes import SHAPES, Record, Shape
from dcnbuild.doctor.parse.text import TRACEBACK, Log, decode

__all__ = ["SHAPES", "Log", "Reading", "Record", "Shape", "decode"]

_RAISED = re.compile(r"(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:: ?(?P<text>.*)|$)")
#: An exception whose message begins with a line's end, or announces the lines below.
_UNFINISHED = re.compile(r"[A-Za-z_][\w.]*:(?: .*:| \d+ validation errors? for \S+)? *")
_MESSAGE_BELOW = 3


class Reading:
    """The records of one log; each line is read once."""

    def __init__(self, log: Log, there: Callable[[str], bool]) -> None:
        """`there` says of a literal text whether any line to be read may hold it."""
        self.log = log
        self._shapes = [shape for shape in SHAPES if there(shape.needle)]
        self._known: dict[str, tuple[Record, ...]] = {}

    def records(self, text: str) -> tuple[Record, ...]:
        """What a cleaned English line says, in the order of `SHAPES`; one record for each kind."""
        if text not in self._known:
            found: dict[str, Record] = {}
            for shape in self._shapes:
                if shape.kind not in found and (match := shape.search(text)):
                    found[shape.kind] = Record(shape.kind, shape.tool, match)
            self._known[text] = tuple(found.values())
        return self._known[text]

    @cached_property
    def raised(self) -> dict[int, Record]:
        """The lines that end a traceback, whatever their exception is called."""
        found = {}
        for number, line in enumerate(self.log.lines):
            end = self.log.raised(number) if TRACEBACK in line else None
            match = _RAISED.match(self.message(end)) if end is not None else None
            if end is not None and match:
                found[end] = Record("exception", "python", match)
        return found

    def message(self, number: int) -> str:
        """Line `number`, which names an exception; with the next that says something where its message has no end."""
        line = self.log.english(number)
        if not _UNFINISHED.fullmatch(line):
            return line
        below = (self.log.english(number + step).strip() for step in range(1, _MESSAGE_BELOW + 1))
        said = next((line for line in below if re.search(r"\w", line)), "")
        return line if TRACEBACK in said else f"{line.rstrip(': ')}: {said}".rstrip(": ")
