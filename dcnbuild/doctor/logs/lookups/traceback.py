"""The frames of a Python traceback around a line of a log, as Python, IPython, pytest and rich write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from dcnbuild.doctor import wording
from dcnbuild.doctor.logs.owner import Owner, owner
from dcnbuild.doctor.parse.text import TRACEBACK

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.rule import Hit

_FRAMES = tuple(map(re.compile, wording.rows("frames")))
_PYTEST, _WARNED, _NOBODYS = wording.patterns("pytest_place", "warned_for", "nobodys")
#: No traceback is longer, as far as it is of use.
_DEEPEST = 200


class Frame(NamedTuple):
    """A frame's file, "" where there is none, its line, and the function."""

    file: str = ""
    line: str = ""
    function: str = ""

    @property
    def owner(self) -> Owner:
        """Whose file it is."""
        return owner(self.file)

    @property
    def spot(self) -> str:
        """For people: "net/head.py, line 63"."""
        file = re.sub(r"^Cell In ?\[(\d+)\]", r"cell \1", self.file)
        return f"{file}, line {self.line}" if file and self.line else file

    @property
    def place(self) -> str:
        """The same with the function: "net/head.py, line 63, in forward"."""
        return f"{self.spot}, in {self.function}" if re.fullmatch(r"\w+", self.function) else self.spot


def frames(hit: Hit, before: int = 14) -> Iterator[Frame]:
    """The place of a warning, then the frames on so many lines above a hit, the nearest first."""
    if warned := _WARNED.match(hit.text):
        yield Frame(*warned.groups())
    below = [line for line in hit.log.near(hit.line, after=3)[1:] if _PYTEST.match(line)]
    for line in (*below, *reversed(hit.log.near(hit.line, before=before))):
        if found := next(filter(None, (shape.search(line) for shape in _FRAMES)), None):
            yield Frame(*(group or "" for group in found.groups()))


def last(hit: Hit) -> Frame:
    """The frame that the traceback ends in."""
    return next(frames(hit), Frame())


def own(hit: Hit) -> Frame:
    """The innermost frame of this traceback that is the project's own code."""
    above = range(hit.line - 1, max(-1, hit.line - _DEEPEST), -1)
    start = next((number for number in above if hit.log.english(number).startswith(TRACEBACK)), hit.line)
    found = frames(hit, before=max(hit.line - start, 14))
    return next((one for one in found if one.owner.kind == "own" and not _NOBODYS.search(one.file)), Frame())
