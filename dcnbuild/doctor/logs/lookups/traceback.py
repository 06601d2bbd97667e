"""The frames of a Python traceback around a line of a log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from dcnbuild.doctor.logs.owner import Owner, owner

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.rule import Hit

_FRAME = re.compile(r"File \"([^\"]{1,300})\", line (\d+)")
#: A warning of Python begins with the place that it is given for.
_WARNED = re.compile(r"^((?:[A-Za-z]:)?[^\s:\"]{1,300}\.py):(\d+): \w{0,60}Warning: ")


class Frame(NamedTuple):
    """A frame's file, "" where there is none, and its line."""

    file: str = ""
    line: str = ""

    @property
    def owner(self) -> Owner:
        """Whose file it is."""
        return owner(self.file)


def frames(hit: Hit, before: int = 14) -> Iterator[Frame]:
    """The place of a warning, then the frames on so many lines above a hit, the nearest first."""
    warned = _WARNED.match(hit.text)
    if warned:
        yield Frame(*warned.groups())
    for line in reversed(hit.log.near(hit.line, before=before)):
        found = _FRAME.search(line)
        if found:
            yield Frame(*found.groups())


def last(hit: Hit) -> Frame:
    """The frame that the traceback ends in."""
    return next(frames(hit), Frame())
