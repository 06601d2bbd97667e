"""How a log goes on after an error: whether a later success takes it back.

pip tries again, another compiler is found, a test suite quotes messages in its ids: an error is moot
where what failed succeeded afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from dcnbuild.doctor import wording
from dcnbuild.doctor.parse.text import Log

_TELLING = wording.pattern("telling")
#: What the tools that build and install say at the end; `names` are the packages that it is about.
_DONE = wording.pattern("done")
#: The last line of pytest and of CTest where nothing failed.
_TESTS = wording.pattern("tests")
_VERSION = re.compile(r"-\d[\w.+!]*$")
#: What was being built at a line: what stands above it, or what pip says below it.
_BEGUN, _FAILED = wording.pattern("begun"), wording.pattern("not_built")
#: What programs say that do their work.
_WORKS = wording.pattern("works", re.IGNORECASE)
_SERVES = wording.pattern("serves", re.IGNORECASE)
#: The marks of loggers.
_CALM, _WARNED = wording.pattern("calm"), wording.pattern("warned")


def calm(log: Log, line: int) -> bool:
    """Whether a logger marks the line as INFO or less, and no tool's own message of an error stands behind the mark."""
    return _CALM.search(log.lines[line]) is not None


def logged_warning(log: Log, line: int) -> bool:
    """Whether a logger marks the line as a warning."""
    return _WARNED.search(log.lines[line]) is not None


def served(log: Log, line: int) -> bool:
    """Whether the program began to serve after a line."""
    return any(map(_SERVES.search, log.lines[line + 1 :]))


def went_on(log: Log, line: int) -> bool:
    """Whether the program did its work after a line that only warned."""
    return any(_WORKS.search(log.text(number)) for number in range(line + 1, len(log)))


@dataclass(frozen=True)
class _Success:
    line: int
    tests: bool
    names: frozenset[str]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class Outcome:
    """The successes of a log."""

    def __init__(self, log: Log) -> None:
        self.log = log

    @cached_property
    def _successes(self) -> list[_Success]:
        found = []
        telling = {line for line in set(self.log.lines) if _TELLING.search(line)}
        for number, raw in enumerate(self.log.lines):
            if raw not in telling:
                continue
            line = self.log.text(number)
            done, tests = _DONE.search(line), _TESTS.search(line)
            if done or tests:
                named = " ".join(filter(None, (done["names"], done["name"]))) if done else ""
                names = frozenset(_plain(_VERSION.sub("", name)) for name in named.split())
                found.append(_Success(number, done is None, names))
        return found

    def _building(self, line: int) -> str | None:
        """The package whose build the line belongs to, as far as pip says it."""
        above = (_BEGUN.match(self.log.text(number)) for number in range(line, max(-1, line - 300), -1))
        below = (_FAILED.match(self.log.text(number)) for number in range(line, min(len(self.log), line + 300)))
        found = next(filter(None, chain(above, below)), None)
        return _plain(found["name"]) if found else None

    def moot(self, line: int, ran: bool) -> bool:
        """Whether what a line tells of was overcome later.

        Args:
            line: its number.
            ran: whether it comes from a program that ran, which the success of a build does not mend.
        """
        later = [success for success in self._successes if success.line > line]
        if not later:
            return False
        if any(success.tests for success in later):
            return True
        if ran:
            return False
        package = self._building(line)
        return package is None or any(not success.names or package in success.names for success in later)
