"""Patterns over tokens: `THCudaMalloc($state, $size)` and what to write instead.

In a pattern, `$name` stands for one argument (to the next comma or closing bracket of its own level),
or for a single name if "(" follows it, and `$$name` for all that is left up to the closing bracket; behind `<` it is a template list. A
pattern that begins with `.` matches `->` as well. In a replacement, `$name` and `$$name` are what
was matched, with its own spaces, line breaks and comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from dcnbuild.port.tokens import Token, tokenize

OPENING = {"(": ")", "[": "]", "{": "}"}
CLOSING = frozenset(OPENING.values())
_VARIABLE = re.compile(r"\$\$?\w+")


@dataclass(frozen=True)
class Match:
    """A match: offsets into the text, and what the variables stand for, as (start, end) offsets."""

    start: int
    end: int
    captures: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    arrow: bool = False


@lru_cache(maxsize=512)
def parts_of(pattern: str) -> tuple[str, ...]:
    """A pattern's literal tokens and variables, in order."""
    parts: list[str] = []
    position = 0
    for variable in [*_VARIABLE.finditer(pattern), None]:
        literal = pattern[position : variable.start() if variable else len(pattern)]
        parts += [token.text for token in tokenize(literal) if token.solid]
        if variable:
            parts.append(variable[0])
            position = variable.end()
    return tuple(parts)


def find(pattern: str, stream: Sequence[Token]) -> Iterator[Match]:
    """Matches in a stream of solid tokens, left to right, none inside another."""
    parts = parts_of(pattern)
    index = 0
    while index < len(stream):
        end = None
        if _starts(stream, index, parts[0]):
            captures: dict[str, tuple[int, int]] = {}
            end = _match(stream, index, parts, captures)
        if end is None:
            index += 1
            continue
        first, last = stream[index], stream[end - 1]
        yield Match(first.start, last.end, captures, first.text == "->")
        index = end


def _starts(stream: Sequence[Token], index: int, part: str) -> bool:
    text = stream[index].text
    if text != part:
        return part == "." and text == "->"
    # a name behind ".", "->" or "::" is another thing of the same name
    return not (
        stream[index].kind == "name" and index and stream[index - 1].text in (".", "->", "::")
    )


def _match(
    stream: Sequence[Token],
    index: int,
    parts: Sequence[str],
    captures: dict[str, tuple[int, int]],
) -> int | None:
    for number, part in enumerate(parts):
        if not part.startswith("$"):
            if index >= len(stream) or (number and stream[index].text != part):
                return None
            index += 1
            continue
        many = part.startswith("$$")
        if parts[number - 1] == "<":
            end = skip_angle(stream, index)
        elif parts[number + 1 : number + 2] == ("(",):  # the name of a variable or a function
            end = index + 1 if index < len(stream) and stream[index].kind == "name" else None
        else:
            end = skip(stream, index, stop_at_comma=not many)
        if end is None or end >= len(stream) or (end == index and not many):
            return None
        start = stream[index - 1].end
        captures[part.lstrip("$")] = (start, stream[end].start)
        index = end
    return index


def skip(stream: Sequence[Token], index: int, stop_at_comma: bool = False) -> int | None:
    """The index of the bracket that closes the level of `index`, or of a comma of that level.

    None if the level is not closed, or a statement ends first.
    """
    closers: list[str] = []
    while index < len(stream):
        text = stream[index].text if stream[index].kind == "punct" else ""
        if text in OPENING:
            closers.append(OPENING[text])
        elif text in CLOSING:
            if not closers:
                return index
            if closers.pop() != text:
                return None
        elif not closers and text == ";":
            return None
        elif not closers and stop_at_comma:
            if text == ",":
                return index
            if text == "<" and index and stream[index - 1].kind == "name":
                close = skip_angle(stream, index + 1)
                following = stream[close + 1].text if close and close + 1 < len(stream) else ""
                if close and following in ("(", "::", "{"):
                    index = close
        index += 1
    return None


def skip_angle(stream: Sequence[Token], index: int) -> int | None:
    """The index of the ">" that closes the template list which `index` is in, if it is one."""
    depth = 1
    while index < len(stream):
        text = stream[index].text
        if text == "<":
            depth += 1
        elif text == ">":
            depth -= 1
            if not depth:
                return index
        elif text == "(":
            close = skip(stream, index + 1)
            if close is None:
                return None
            index = close
        elif text in (";", "{", "}", ")", "]", "&&", "||"):
            return None
        index += 1
    return None


def arguments(stream: Sequence[Token], index: int) -> tuple[list[tuple[int, int]], int] | None:
    """The arguments behind an opening bracket, as (start, end) indices, and the closing bracket.

    `index` is that of the first token behind the bracket. None if the bracket is never closed.
    """
    found: list[tuple[int, int]] = []
    while True:
        end = skip(stream, index, stop_at_comma=True)
        if end is None:
            return None
        if end > index or stream[end].text == "," or found:
            found.append((index, end))
        if stream[end].text != ",":
            return found, end
        index = end + 1


def fill(replacement: str, text: str, match: Match) -> str:
    """The replacement for a match, its variables filled in from the text."""
    out, position = "", 0
    for variable in [*_VARIABLE.finditer(replacement), None]:
        out += replacement[position : variable.start() if variable else len(replacement)]
        if variable is None:
            break
        position = variable.end()
        start, end = match.captures[variable[0].lstrip("$")]
        value = text[start:end]
        if not value.strip():  # nothing was there: drop the comma before it
            out = re.sub(r",\s*$", "", out)
        elif "\n" in value[: -len(value.lstrip())] or text[start - 1] == out[-1:]:
            out = out.rstrip(" ") + value
        else:
            out += value.lstrip() if value[0].isspace() else value
    if match.arrow and out.startswith("."):
        out = "->" + out[1:]
    return out
