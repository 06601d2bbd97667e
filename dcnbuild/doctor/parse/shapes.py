"""A record is what one message of a tool says, without saying why; shapes.tsv has how each tool words each kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dcnbuild.knowledge import cuda_errors

_MACRO = re.compile(r"%([A-Z]+)%")


@dataclass(frozen=True)
class Record:
    """One message.

    Attributes:
        kind: what sort of message it is, e.g. "undeclared-name"; see shapes.tsv.
        tool: who says it, e.g. "gcc"; "" where several tools say it alike.
        match: where it stands in its line. The named groups are the entities: `name`, `owner`,
            `header`, `library`, `symbol`, `option`, `module`, `path`, `version`, ….
    """

    kind: str
    tool: str
    match: re.Match[str]

    def __getitem__(self, entity: str) -> str:
        if entity not in self.match.re.groupindex:
            return ""
        return (self.match.group(entity) or "").strip()

    @property
    def entities(self) -> dict[str, str]:
        """The entities that the message names."""
        return {name: self[name] for name in self.match.re.groupindex if self[name]}


def either(needles: str) -> list[str]:
    """The literal parts of which every matching line holds one: "exit code || exit status" has two."""
    return needles.split(" || ")


@dataclass(frozen=True)
class Shape:
    """How one tool words one kind of message.

    Attributes:
        kind, tool: of the records.
        needle: a literal part of every such message; looked for first, which keeps reading fast.
        pattern: a regular expression over the cleaned line in English; it is linear, which a test
            holds it to.
    """

    kind: str
    tool: str
    needle: str
    pattern: str

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)  # when a log has the needle

    def search(self, line: str) -> re.Match[str] | None:
        """Where the message stands in a cleaned English line, if it is of this shape."""
        return self._compiled.search(line) if self.needle in line else None


def _read() -> Iterator[Shape]:
    """The shapes, in the order of the table."""
    macros: dict[str, str] = {}

    def expanded(text: str) -> str:
        return _MACRO.sub(lambda found: expanded(macros[found[1]]), text)

    for line in Path(__file__).with_name("shapes.tsv").read_text(encoding="utf-8").split("\n"):
        fields = line.split("\t")
        if line.startswith("#") or not line:
            continue
        if len(fields) == 2:
            macros[fields[0].strip("%")] = fields[1]
            continue
        kind, tool, needles, pattern = fields
        for needle in either(needles):
            yield Shape(kind, tool.strip("-"), needle.replace("␣", " "), expanded(pattern))


_OF_CUDA = (Shape("cuda-error", "cuda", text, f"(?P<text>{re.escape(text)})") for text in cuda_errors.texts())
SHAPES = (*_read(), *_OF_CUDA)
