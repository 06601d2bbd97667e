"""The literal parts of a regular expression, by which a text is known that it cannot match, without compiling it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

_Words = tuple[str, ...]
_TOKEN = re.compile(
    r"\\x..|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?:P<\w+>|P=\w+|<?[=!]|[aimsx]*:|[aimsx]+))?|[?*+]\??|\{\d*,?\d*\}\??|.",
    re.DOTALL,
)
#: What may be anything, or not be there.
_GAP = ("",)
#: A part of so many letters is rare enough: then fewer parts are better than longer ones.
_RARE = 7


def needles(expression: str) -> _Words:
    """Texts of which each match of an expression holds one, few and long ones; ("",) where there are none."""
    return _group(iter(_TOKEN.findall(expression)), any_case=False)


def _group(tokens: Iterator[str], *, any_case: bool) -> _Words:
    """The same of what follows, up to the bracket that closes a group."""
    ways: list[str] = []
    parts: list[str | _Words] = []
    for token in tokens:
        if token == ")":
            break
        if token == "|":
            ways += _best(parts)
            parts = []
        elif token.startswith("("):
            flags = token.lstrip("(?").rstrip(":") if not token.startswith("(?P") else ""
            inner = _group(tokens, any_case=any_case or "i" in flags)
            any_case = any_case or ("i" in flags and token[-1] != ":")
            parts.append(_GAP if flags and flags[-1] in "=!" else inner)
        elif token[0] in "?*" or token.startswith(("{0", "{,")):
            parts[-1] = _GAP
        elif token in ".^$" or token[0] in "+{[" or re.match(r"\\\w", token):
            parts.append(_GAP)
        else:
            parts.append(_GAP if any_case and token.isalpha() else token[-1])
    return tuple(dict.fromkeys((*ways, *_best(parts))))


def _best(parts: list[str | _Words]) -> _Words:
    """The words of one of the parts that stand behind each other, letters joined."""
    found: list[_Words] = [_GAP]
    for _, run in groupby(parts, key=lambda part: isinstance(part, str)):
        same = list(run)
        found += [part for part in same if isinstance(part, tuple)] or [("".join(map(str, same)),)]
    return max(found, key=lambda words: (min(_RARE, *map(len, words)), -len(words), min(map(len, words))))
