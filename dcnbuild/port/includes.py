"""Adds the headers of the names that rules bring in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, line_start, newline_of
from dcnbuild.port.layout import OPENS, Directive, Include, guard_lines

#: Headers that bring most of torch.
_TORCH = r"torch/(?:extension|torch|all|types|script|library|python|autograd)\.h"
#: Names → the header that code needs for them.
_TABLE = beside(__file__, "includes.yaml")


def _others(row: Mapping[str, Any]) -> str:
    """The headers that bring the same, as a regular expression."""
    return "|".join([_TORCH] * row.get("torch", False) + [row.get("others", "(?!)")])


def missing(code: Code, names: str, seen: frozenset[str], lost: bool) -> list[tuple[str, int]]:
    """The headers that a text lacks, each with the offset where it is first needed.

    Args:
        code: the text.
        names: a regular expression for the names that have come in.
        seen: the headers that its project headers bring in.
        lost: whether a header of TH or THC has been taken out of it.
    """
    asked = re.compile(names)
    found = []
    for row in _TABLE:
        if not lost and ("lost" in row or not any(map(asked.fullmatch, row["names"].split("|")))):
            continue
        uses = (stream[i] for stream, i in code.names(row["names"]))
        first = min((token.start for token in uses if token.text not in code.own), default=None)
        if first is not None and not has(code, row["header"], first, seen, _others(row)):
            found.append((row["header"], first))
    return found


def _words(path: Iterable[Directive]) -> list[list[str]]:
    """What some #if lines say."""
    return [[line.name, *(token.text for token in line.tokens)] for line in path]


def add(code: Code, header: str, first: int) -> Edit:
    """The edit that includes a header for code at offset `first`.

    It goes behind the last #include before that code which is under the same conditions; where
    there is none, conditions and all behind the last #include, or else to the top.
    """
    newline = newline_of(code.text)
    line = f"#include <{header}>{newline}"
    path = code.layout.path_at(first)
    before = [i for i in code.layout.includes if i.directive.start < first and not nested(code, i)]
    same = [i for i in before if _words(i.path) == _words(path)]
    if not same:
        if path and all(p.name in OPENS for p in path):
            opening = "".join(code.text[p.start : p.end] for p in path)
            line = opening + line + f"#endif{newline}" * len(path)
        same = [i for i in before if not i.path]
    at = same[-1].directive.end if same else top_of(code)
    ended = not same or code.text[:at].endswith(("\n", "\r"))
    return Edit(at, at, line if ended else newline + line)


def lacking(code: Code, header: str, first: int, seen: frozenset[str]) -> Edit | None:
    """The same, if code at that offset has not seen the header."""
    return None if has(code, header, first, seen) else add(code, header, first)


def nested(code: Code, include: Include) -> bool:
    """Whether an include is inside braces, as in extern "C" { … }."""
    before = code.live.at(include.directive.start) - 1
    return before >= 0 and (code.live[before].text == "{" or code.live.around[before] >= 0)


def top_of(code: Code) -> int:
    """Where a first #include belongs: behind a leading comment of its own and the include guard."""
    guard = {line.start: line.end for line in guard_lines(code.layout.directives)}
    top = behind_comment = 0
    for token in code.tokens:
        start = line_start(code.text, token.start)
        if token.kind == "comment" and not token.line:
            behind_comment = token.end
        elif token.kind == "space":
            gap = code.text[behind_comment : token.end]
            if behind_comment and not gap.strip() and gap.count("\n") > 1:
                top = behind_comment + len(newline_of(code.text))
        elif start in guard:
            top = guard[start]
        elif not token.line:
            break
    return top


def behind_includes(code: Code, first: int) -> int:
    """Where a block of code belongs that is used at offset `first`: behind the includes before it."""
    before = [i.directive.end for i in code.layout.includes if i.directive.end <= first and not nested(code, i)]
    last = max(before, default=-1)
    if last < 0 or not code.layout.path_at(last):
        return last if before else top_of(code)
    # behind the #endif of the last include, if that comes before the use
    return next((at for at, path in code.layout.branches if last < at <= first and not path), last)


def has(code: Code, header: str, first: int, seen: frozenset[str], others: str = "") -> bool:
    """Whether code at offset `first` has seen a header, or another one that brings the same.

    `others` is a regular expression for the latter; without it, those of any name of the header.
    """
    others = others or "|".join(_others(row) for row in _TABLE if row["header"] == header) or "(?!)"
    path = code.layout.path_at(first)
    there = {i.name for i in code.layout.includes if _words(i.path) == _words(path[: len(i.path)])} | seen
    return any(name == header or re.fullmatch(others, name) for name in there)
