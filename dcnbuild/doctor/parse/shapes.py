"""Reads shapes.tsv: how each tool words each kind of message."""

from __future__ import annotations

import re
from pathlib import Path

from dcnbuild.doctor.parse.record import Shape, either

_TABLE = Path(__file__).with_name("shapes.tsv")
_MACRO = re.compile(r"%([A-Z]+)%")


def read() -> tuple[Shape, ...]:
    """The shapes, in the order of the table."""
    macros: dict[str, str] = {}

    def expanded(text: str) -> str:
        return _MACRO.sub(lambda found: expanded(macros[found[1]]), text)

    shapes = []
    for line in _TABLE.read_text(encoding="utf-8").split("\n"):
        fields = line.split("\t")
        if line.startswith("#") or not line:
            continue
        if len(fields) == 2:
            macros[fields[0].strip("%")] = fields[1]
        else:
            kind, tool, needles, pattern = fields
            for needle in either(needles):
                shapes.append(Shape(kind, tool.strip("-"), needle.replace("␣", " "), expanded(pattern)))
    return tuple(shapes)


SHAPES = read()
