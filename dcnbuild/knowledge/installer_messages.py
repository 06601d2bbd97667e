"""What installers, build backends and package managers say when they fail; installer_messages.yaml has its meaning."""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import Any

from dcnbuild.base import plain_yaml

_PARSER: Any = getattr(re, "_parser", None) or importlib.import_module("sre_parse")
_NAME = re.compile(r"\{(\w+)\}")


def patterns() -> list[tuple[str, str]]:
    """(a literal part of the message, the regular expression) of every message, and of each of its alternatives."""
    return [(part, pattern) for pattern in rows() for part in _literals(_PARSER.parse(pattern))]


@cache
def of(text: str) -> dict[str, str]:
    """What is known of the message in a text, with what it names filled in; {} where there is none."""
    for pattern, row in rows().items():
        if found := re.search(pattern, text):
            return {key: _filled(said, found.groupdict("")) for key, said in row.items()}
    return {}


def _filled(text: str, named: dict[str, str]) -> str:
    return _NAME.sub(lambda name: named.get(name[1], name[0]), text)


def rows() -> dict[str, dict[str, str]]:
    """Message, a regular expression → the fields that the head of the table describes."""
    found: dict[str, dict[str, str]] = plain_yaml.beside(__file__, "installer_messages.yaml")
    return found


def _literals(parts: Any) -> tuple[str, ...]:
    """Texts, one of which each match of a parsed regular expression has: the longest that there are."""
    best: tuple[str, ...] = ("",)
    run = ""
    for kind, what in (*parts, ("end", None)):
        if str(kind) == "LITERAL":
            run += chr(what)
            continue
        found: list[tuple[str, ...]] = [(run,)]
        if str(kind) == "SUBPATTERN":
            found.append(_literals(what[-1]))
        elif str(kind) == "BRANCH":
            found.append(tuple(word for branch in what[1] for word in _literals(branch)))
        best, run = max(best, *found, key=lambda words: min(map(len, words))), ""
    return best
