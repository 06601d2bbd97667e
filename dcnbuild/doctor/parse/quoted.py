"""Lines that show another text: a source line, a history, a difference, a document, a list of tests.

Nothing failed there: `git log` prints "Fix error: command 'gcc' failed", and no compiler stopped; a compiler that
warns of `CHECK(x.is_cuda(), "x must be a CUDA tensor")` prints that line, and no tensor was refused.
"""

from __future__ import annotations

import re

from dcnbuild.doctor import wording
from dcnbuild.doctor.parse.text import TRACEBACK, Log

#: One line that says of itself that it quotes.
_LINE = wording.pattern("quoting")
#: (what begins a passage, what each of its lines looks like)
_PASSAGES = [(re.compile(begin), re.compile(more)) for begin, more in wording.rows("passages")]
_NUMBERED_SOURCE, _CARETS = wording.patterns("numbered_source", "carets")

#: A line without any of these begins no passage.
_BEGINS = wording.pattern("beginnings")


def quoted(log: Log, candidates: list[int]) -> set[int]:
    """Those of the candidates' line numbers that quote."""
    lines = log.lines
    found = {
        number
        for number in candidates
        if _LINE.search(lines[number].strip())
        or (" |" in lines[number] and _NUMBERED_SOURCE.match(lines[number]))
        # a compiler shows the line; a traceback's own lines tell what ran, and stay
        or (_CARETS.match(log.text(number + 1)) and not log.text(number - 1).startswith('File "'))
        or (TRACEBACK in "".join(lines[number + 1 : number + 2]) and _announces(log, number))
    }
    if not _BEGINS.search("\n".join(set(lines))):
        return found
    inside = None
    for number, line in enumerate(lines):
        begins = next((more for begin, more in _PASSAGES if begin.match(line)), None)
        inside = begins or (inside if inside is not None and inside.match(line) else None)
        if inside is not None:
            found.add(number)
    return found


def _announces(log: Log, number: int) -> bool:
    """Whether the line says what the traceback below it ends in, as loggers write it: that has the frames, too."""
    end = log.raised(number + 1)
    said = log.text(end).partition(": ")[2].strip() if end else ""
    return len(said) > 8 and log.text(number).rstrip().endswith(said)
