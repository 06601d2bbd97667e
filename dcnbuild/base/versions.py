"""Compares version numbers as numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache


@lru_cache(maxsize=4096)
def numbers(version: str) -> tuple[int, ...]:
    """Returns the numbers at the start of a version: "2.14.1+cu130" → (2, 14, 1); () if there are none."""
    # at most 18 digits, enough for a date with its time; int() refuses thousands of digits
    match = re.match(r"[0-9]{1,18}(?:\.[0-9]{1,18})*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def same_major(first: str, second: str) -> bool:
    """Whether two versions have the same first number."""
    return numbers(first)[:1] == numbers(second)[:1]


def same_minor(first: str, second: str) -> bool:
    """Whether two versions have the same first two numbers."""
    return numbers(first)[:2] == numbers(second)[:2]


def allows(requirement: str, there: Mapping[str, str]) -> bool | None:
    """Whether a requirement takes the release that is there of its package; None where none is, or no requirement."""
    from packaging.requirements import InvalidRequirement, Requirement  # costs its import only where it is needed
    from packaging.version import InvalidVersion, Version

    try:
        asked = Requirement(requirement)
        found = there.get(asked.name.lower().replace("_", "-"))
        return None if found is None or asked.url else asked.specifier.contains(Version(found), prereleases=True)
    except (InvalidRequirement, InvalidVersion):
        return None
