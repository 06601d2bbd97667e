"""Compares version numbers as numbers."""

from __future__ import annotations

import re
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
