"""How a log goes on after an error: whether a later success takes it back.

pip tries again, another compiler is found, a test suite quotes messages in its ids: an error is moot
where what failed succeeded afterwards.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from dcnbuild.doctor import wording
from dcnbuild.doctor.parse.text import TRACEBACK, Log
from dcnbuild.machine.prebuilt import name_of

#: What the tools that build and install say at the end, `names` are the packages that it is about; the last line of
#: pytest and of CTest where nothing failed; what setuptools says where it goes on without an extension.
_TELLING, _DONE, _TESTS, _WITHOUT, _LESS = wording.patterns("telling", "done", "tests", "without", "left_out")
_VERSION = re.compile(r"-\d[\w.+!]*$")
#: What was being built at a line: what stands above it, or what pip says below it.
_BEGUN, _FAILED = wording.patterns("begun", "not_built")
#: What programs say that do their work or serve, and the marks of loggers.
_SIGNS = {name: wording.pattern(name) for name in ("works", "serves", "calm", "warned")}
#: What ends a run between two tracebacks, or says that a build failed there; an exception that needs no other cause;
#: what ties one to the one above it; where the frames of a worker begin; an exception that tells of another process;
#: what a message is about: an exception that names it, too, follows from that.
_BREAKS, _OF_ITSELF, _TIED, _WORKER = wording.patterns("breaks", "of_itself", "tied", "worker")
_PASSED_ON, _NAMED = wording.patterns("passed_on", "named")
#: A line of a traceback stands so far below its beginning at most.
_FRAMES = 60
#: A text below a warning of CMake has so many lines at most.
_BLOCK = 12
#: Of what stands between two tracebacks so many lines are read at either end: a training's megabytes are alike. A log
#: that shows no work in twice as many shows none.
_STRETCH = 1000


def raised_in(log: Log, line: int) -> int | None:
    """Where the traceback begins that a line belongs to or ends, None outside of one."""
    starts = [number for number in range(max(0, line - _FRAMES), line + 1) if TRACEBACK in log.lines[number]]
    return starts[-1] if starts and (log.raised(starts[-1]) or line) >= line - 3 else None


def marked(log: Log, line: int, mark: str) -> bool:
    """Whether a logger marks a line: "calm", INFO or less and no tool's own error; "warned", with what is below it."""
    if mark != "warned":
        return bool(_SIGNS[mark].search(log.lines[line]))
    margin = re.match(r"\s*", log.lines[line])[0]  # type: ignore[index]
    block = reversed(log.lines[max(0, line - _BLOCK) : line])
    above = next((text for text in block if text.strip() and not text.startswith(margin)), "") if margin else ""
    start = raised_in(log, line)
    return any(map(_SIGNS[mark].search, (log.lines[line], above, log.lines[start - 1] if start else "")))


def later(log: Log, line: int, sign: str) -> bool:
    """Whether the program said after a line that it does its work, "works", or began to serve, "serves"."""
    return log.goes_on(_SIGNS[sign], line)


def survived(log: Log, line: int, needs_work: bool) -> bool:
    """Whether what a line tells of was caught, tried or warned of only, and an exception of its own ended the program.

    Where it `needs_work`, signs of work stand between them; else the exception needs no other cause.
    """
    start = raised_in(log, line)
    began = "" if start is None else log.text(start + 1)
    if _WORKER.search(began):
        return False
    worked, read, looked_at = not needs_work, 0, line + 1
    about = {found[found.lastindex or 0] for found in _NAMED.finditer(log.text(line))}
    # few lines begin a traceback: what stands between is read only before one that could be the end
    for number in (number for number in range(line + 1, len(log)) if TRACEBACK in log.lines[number]):
        end, first = log.raised(number), log.text(number + 1)
        tied = any(map(_TIED.match, log.near(number, before=2)[:-1]))
        if end is None or first == began or _WORKER.search(first) or tied:
            continue
        said = log.english(end)
        if _PASSED_ON.search(said) or any(name in said for name in about) or not (needs_work or _OF_ITSELF.match(said)):
            continue
        if log.text(line) in log.near(end, after=3):
            continue
        between = [*range(looked_at, number + 1)]
        between[_STRETCH:-_STRETCH] = []
        if any(_BREAKS.search(log.text(at)) for at in between):
            return False
        worked = worked or any(marked(log, at, "calm") or _SIGNS["works"].search(log.text(at)) for at in between)
        read += len(between)
        if worked or read > 2 * _STRETCH:
            return worked
        looked_at = number + 1
    return False


class _Success(NamedTuple):
    line: int
    tests: bool
    names: frozenset[str]


class Outcome:
    """The successes of a log."""

    def __init__(self, log: Log) -> None:
        self.log = log

    @cached_property
    def _successes(self) -> list[_Success]:
        found = []
        telling = {line for line in set(self.log.lines) if _TELLING.search(line)}
        for number in (number for number, raw in enumerate(self.log.lines) if raw in telling):
            line = self.log.text(number)
            done, tests = _DONE.search(line), _TESTS.search(line)
            if done or tests:
                named = " ".join(filter(None, (done["names"], done["name"]))) if done else ""
                names = frozenset(name_of(_VERSION.sub("", name)) for name in named.split())
                found.append(_Success(number, done is None, names))
        return found

    def _building(self, line: int) -> str | None:
        """The package whose build the line belongs to, as far as pip says it."""
        above = (_BEGUN.match(self.log.text(number)) for number in range(line, max(-1, line - 300), -1))
        below = (_FAILED.match(self.log.text(number)) for number in range(line, min(len(self.log), line + 300)))
        found = next(filter(None, chain(above, below)), None)
        return name_of(found["name"]) if found else None

    def moot(self, line: int, ran: bool) -> bool:
        """Whether what a line tells of was overcome later; what a program says that ran no success of a build mends."""
        later = [success for success in self._successes if success.line > line]
        tested = any(success.tests for success in later)
        if tested or ran or not later or _LESS.search(self.log.text(line)):
            return tested
        between = self.log.near(line, after=later[-1].line - line)
        if any(map(_WITHOUT.search, between)) and any(TRACEBACK in text for text in self.log.lines[later[-1].line :]):
            return False  # the build went on without it, and what needs it does not run
        package = self._building(line)
        return package is None or any(not success.names or package in success.names for success in later)
