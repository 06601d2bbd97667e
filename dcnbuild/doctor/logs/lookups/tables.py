"""Reads tables.yaml: what no generated table says of names, packages, libraries and symbols."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("tables.yaml")


@cache
def _sections() -> dict[str, Any]:
    import yaml  # here: only a log that asks for a name pays for it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    sections: dict[str, Any] = yaml.load(_FILE.read_text(encoding="utf-8"), Loader=loader)
    return sections


def rows(section: str) -> Any:
    """A section, e.g. "headers"."""
    return _sections()[section]
