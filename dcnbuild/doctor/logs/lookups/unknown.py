"""Failures whose cause no rule knows: the root error line, and whose it is."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs.lookups.traceback import last
from dcnbuild.doctor.logs.owner import Owner
from dcnbuild.doctor.logs.rule import Hit

_ERROR = re.compile(r"\b(?:error|fatal)\b|Error\b")
_PLACES = {
    "torch": ", in torch",
    "nvidia": ", in an nvidia package",
    "toolkit": ", in the CUDA toolkit",
    "conda": ", in conda",
    "python": ", in Python itself",
    "system": ", in the system",
}


def in_traceback(hit: Hit) -> bool:
    """Whether an exception ended the program, rather than being spoken of."""
    named = hit["name"].endswith(("Error", "Exception")) and hit.text.startswith(hit["name"])
    if hit["text"] and named:
        return True
    lines = hit.log.near(hit.line, before=30)
    return any(line.startswith(("Traceback (most", 'File "')) for line in lines)


def frame_owner(hit: Hit) -> Owner:
    """Whose file raised."""
    return last(hit).owner


def place(hit: Hit) -> str:
    """The same as the end of a sentence."""
    found = frame_owner(hit)
    return f", in the package {found.name}" if found.package else _PLACES.get(found.kind, "")


def error_above(hit: Hit) -> str:
    """The first line above that speaks of an error, "" without one."""
    above = hit.log.near(hit.line, before=60)[:-1]
    return next((line.strip()[:300] for line in above if _ERROR.search(line)), "")


def lines_below(hit: Hit) -> str:
    """The three lines below, as CMake puts its message there."""
    return " ".join(hit.log.near(hit.line, after=3)[1:]).strip()
