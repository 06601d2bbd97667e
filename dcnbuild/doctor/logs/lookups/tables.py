"""Reads tables.yaml: what no generated table says of names, packages, libraries and symbols."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dcnbuild.base import plain_yaml

_FILE = Path(__file__).with_name("tables.yaml")


def rows(section: str) -> Any:
    """A section, e.g. "headers"."""
    return plain_yaml.shipped(_FILE)[section]
