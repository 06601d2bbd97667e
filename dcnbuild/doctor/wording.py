"""Reads wording.yaml: what the log reader looks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dcnbuild.base import plain_yaml


def rows(section: str) -> list[Any]:
    """A section, e.g. "stems"."""
    found: list[Any] = plain_yaml.beside(__file__, "wording.yaml")[section]
    return found


def pattern(section: str) -> re.Pattern[str]:
    """A section of regular expressions as one that matches where any of them does; flags of the first are of all."""
    return re.compile("|".join(rows(section)))


def patterns(*sections: str) -> Iterator[re.Pattern[str]]:
    """Several of them."""
    return map(pattern, sections)
