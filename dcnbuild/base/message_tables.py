"""Tables of messages: section → message, a regular expression within one line → fields, which are texts.

The named groups of an expression stand in the fields in braces; the first message of a section that is found counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path

from dcnbuild.base import plain_yaml
from dcnbuild.base.needles import needles

Rows = dict[str, dict[str, str]]
_NAME = re.compile(r"\{(\w+)\}")


class MessageTables:
    """The sections of all files of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._said = lru_cache(maxsize=100)(self._search)

    @cached_property
    def sections(self) -> dict[str, Rows]:
        """Section → its rows."""
        files = map(plain_yaml.shipped, sorted(self._directory.glob("*.yaml")))
        return {name: rows for sections in files for name, rows in sections.items()}

    def fields(self, names: Iterable[str]) -> set[str]:
        """The fields that rows of these sections have."""
        return {field for name in names for row in self.sections[name].values() for field in row}

    def patterns(self, framed: Mapping[str, list[str] | None]) -> Iterator[tuple[str, str]]:
        """(literal part, expression) of the messages of sections.

        Args:
            framed: section → what stands around its messages, with MESSAGE for any of them, or None.
        """
        for section, frames in framed.items():
            said = self.sections[section]
            either = "|".join(re.sub(r"\(\?P<\w+>", "(?:", message) for message in said)
            spelled = said if frames is None else (frame.replace("MESSAGE", f"(?:{either})") for frame in frames)
            yield from ((needle, pattern) for pattern in spelled for needle in needles(pattern))

    def row(self, names: str, match: re.Match[str], said: str) -> dict[str, str]:
        """The fields of the message of sections (joined by blanks) that a match is, or a text has; {} without one."""
        own = next((rows[match.re.pattern] for rows in self._of(names) if match.re.pattern in rows), None)
        return _filled(own, match) if own else self._said(names, said)

    def _of(self, names: str) -> Iterator[Rows]:
        return (self.sections[name] for name in names.split())

    def _search(self, names: str, said: str) -> dict[str, str]:
        told = ((re.search(message, said), row) for rows in self._of(names) for message, row in rows.items())
        return next((_filled(row, found) for found, row in told if found), {})


def _filled(row: dict[str, str], found: re.Match[str]) -> dict[str, str]:
    named = found.groupdict("")
    return {field: _NAME.sub(lambda name: named.get(name[1], name[0]), text) for field, text in row.items()}
