"""A record: what one message of a tool says, without saying why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Record:
    """One message.

    Attributes:
        kind: what sort of message it is, e.g. "undeclared-name"; see `shapes`.
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
