"""How a log goes on after an error: whether a later success takes it back.

pip tries again, another compiler is found, a test suite quotes messages in its ids: an error is moot
where what failed succeeded afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from dcnbuild.doctor import wording
from dcnbuild.doctor.parse.text import Log

_TELLING = wording.pattern("telling")
#: What the tools that build and install say at the end; `names` are the packages that it is about.
_DONE = wording.pattern("done")
#: The last line of pytest and of CTest where nothing failed.
_TESTS = re.compile(r"^=*\s?\d+ passed(?!.*\b(?:failed|errors?)\b).* in [\d.]+ ?s|^100% tests passed")
_VERSION = re.compile(r"-\d[\w.+!]*$")
#: What was being built at a line: what stands above it, or what pip says below it.
_ABOVE = re.compile(
    r"^Building (?:wheel|editable) for (?P<name>[\w.-]+)"
    r"|^Running setup\.py (?:install|develop|bdist_wheel) for (?P<other>[\w.-]+)"
)
_BELOW = re.compile(
    r"^(?:ERROR: +)?Failed building (?:wheel|editable) for (?P<name>[\w.-]+)"
    r"|^ERROR: Failed to build (?:installable wheels for )?(?:'?)(?P<other>[\w.-]+)"
)


#: What programs say that do their work.
_WORKS = wording.pattern("works", re.IGNORECASE)


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
            if done:
                named = (done["names"] or "").split() + ([done["name"]] if done["name"] else [])
                names = frozenset(_plain(_VERSION.sub("", name)) for name in named)
                found.append(_Success(number, False, names))
            elif tests:
                found.append(_Success(number, True, frozenset()))
        return found

    def _building(self, line: int) -> str | None:
        """The package whose build the line belongs to, as far as pip says it."""
        for number in range(line, max(-1, line - 300), -1):
            found = _ABOVE.match(self.log.text(number))
            if found:
                return _plain(found["name"] or found["other"])
        for number in range(line, min(len(self.log), line + 300)):
            found = _BELOW.match(self.log.text(number))
            if found:
                return _plain(found["name"] or found["other"])
        return None

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
