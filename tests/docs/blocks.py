"""The fenced code blocks of the Markdown pages.

Tests run or check every block of README.md, CONTRIBUTING.md and docs/, by its language: see `test_code_blocks`. An HTML
comment right before a block, which the page does not show, adds to this:

    <!-- before: model = torch.nn.Conv2d(1, 1, 1) -->    Python to run before the block
    <!-- tested by: tests/ops/test_modules.py::test_name -->    the test that runs the block, if it cannot run here
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted([CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *(CHECKOUT / "docs").rglob("*.md")])
COMMENT = re.compile(r"<!--\s*(before|tested by):\s*(.*?)\s*-->", re.DOTALL)
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>[^\n`]*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: relative to the checkout.
        line: of its first line of text, from 1.
        language: what stands behind the opening fence.
        text: the block, each line with its end.
        notes: what the comments right before it say, by their keyword.
    """

    page: str
    line: int
    language: str
    text: str
    notes: dict[str, str]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(text: str, page: str) -> list[Block]:
    """All blocks of a page. Raises ValueError for a fence that is never closed."""
    found: list[Block] = []
    lines = text.split("\n")
    opening: re.Match[str] | None = None
    start = 0
    for number, line in enumerate(lines, 1):
        if opening is None:
            opening, start = FENCE.match(line), number
        elif line.strip() == opening["ticks"]:
            indent = len(opening["indent"])
            body = "".join(f"{line[indent:]}\n" for line in lines[start : number - 1])
            notes = comments_before("\n".join(lines[: start - 1]))
            found.append(Block(page, start + 1, opening["language"].strip(), body, notes))
            opening = None
    if opening is not None:
        raise ValueError(f"{page}:{start}: a fence that is never closed")
    return found


def comments_before(text: str) -> dict[str, str]:
    """The comments at the end of a text, with nothing but white space between and after them."""
    notes: dict[str, str] = {}
    text = text.rstrip()
    while text.endswith("-->"):
        start = text.rindex("<!--")
        match = COMMENT.fullmatch(text[start:])
        if match is None:
            break
        notes[match[1]] = match[2]
        text = text[:start].rstrip()
    return notes


def all_blocks() -> list[Block]:
    return [
        block
        for path in PAGES
        for block in blocks_of(path.read_text(encoding="utf-8"), path.relative_to(CHECKOUT).as_posix())
    ]
