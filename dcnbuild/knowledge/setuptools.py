"""setuptools and pkg_resources: their modules and names, for the majors from 40 to 82 that mattered."""

from __future__ import annotations

from pathlib import Path

from dcnbuild.knowledge.entry import Entry, just
from dcnbuild.knowledge.replacements import of_table
from dcnbuild.knowledge.store import Table

TABLE = Table(Path(__file__).with_name("setuptools.zip"), ".", of_table("setuptools"))


def find(name: str) -> list[Entry]:
    """Every entry of a name, e.g. "pkg_resources", "setuptools.command.test"."""
    return TABLE.find(name)


def exact(name: str) -> Entry | None:
    """The entry of just this name, "pkg_resources.parse_version"."""
    return just(find(name), name)
