"""Patterns over tokens: `THCudaMalloc($state, $size)` and what to write instead.

In a pattern, `$name` stands for one argument (to the next comma or closing bracket of its own level), or for a single
name if "(" follows it, and `$$name` for all that is left up to the closing bracket; behind `<` it is a template list. A
pattern that begins with `.` matches `->` as well. In a replacement, `$name` and `$$name` are what was matched, with its
own spaces, line breaks and comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from dcnbuild.port.edits import Edit
from dcnbuild.port.stream import CLOSING, OPENING, Stream
from dcnbuild.port.tokens import tokenize

#: An argument's first index, and the one behind its last.
Span = tuple[int, int]

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
    for piece in re.split(rf"({_VARIABLE.pattern})", pattern):
        literal = (token.text for token in tokenize(piece) if token.solid)
        parts += [piece] if _VARIABLE.fullmatch(piece) else literal
    return tuple(parts)


def find(pattern: str, stream: Stream) -> Iterator[Match]:
    """Matches in a stream of solid tokens, left to right, those inside others too."""
    parts = parts_of(pattern)
    name = next(number for number, part in enumerate(parts) if part.isidentifier())
    for place in stream.places.get(parts[name], ()):
        index = place - name  # nothing but signs stands before the first name
        first = stream[max(index, 0)]
        starts = index >= 0 and (first.text == parts[0] or (parts[0], first.text) == (".", "->"))
        # a name behind ".", "->" or "::" is another thing of the same name
        if not starts or (first.kind == "name" and index and stream[index - 1].text in (".", "->", "::")):
            continue
        captures: dict[str, tuple[int, int]] = {}
        end = _match(stream, index, parts, captures)
        if end is not None:
            yield Match(first.start, stream[end - 1].end, captures, first.text == "->")


def _match(stream: Stream, index: int, parts: Sequence[str], captures: dict[str, tuple[int, int]]) -> int | None:
    for number, part in enumerate(parts):
        if not part.startswith("$"):
            if index >= len(stream) or (number and stream[index].text != part):
                return None
            index += 1
            continue
        many = part.startswith("$$")
        end: int | None
        if parts[number - 1] == "<":
            end = stream.angles.get(index - 1)
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


def skip(stream: Stream, index: int, stop_at_comma: bool = False) -> int | None:
    """The index of the bracket that closes the level of `index`, or of a comma of that level.

    None if the level is not closed, or a statement ends first.
    """
    while index < len(stream):
        text = stream[index].text if stream[index].kind == "punct" else ""
        if text in OPENING:
            index = stream.partner[index]
            if index < 0:
                return None
        elif text in CLOSING or (text == "," and stop_at_comma):
            return index
        elif text == ";":
            return None
        elif text == "<" and stop_at_comma and index and stream[index - 1].kind == "name":
            close = stream.angles.get(index)
            following = stream[close + 1].text if close and close + 1 < len(stream) else ""
            if close and following in ("(", "::", "{"):
                index = close
        index += 1
    return None


def arguments(stream: Stream, index: int) -> tuple[list[Span], int] | None:
    """The arguments behind an opening bracket, and the closing bracket.

    `index` is that of the first token behind the bracket. None if the bracket is never closed.
    """
    found: list[Span] = []
    while True:
        end = skip(stream, index, stop_at_comma=True)
        if end is None:
            return None
        if end > index or stream[end].text == "," or found:
            found.append((index, end))
        if stream[end].text != ",":
            return found, end
        index = end + 1


def arguments_of(stream: Stream, name: int, templates: bool = False) -> tuple[list[Span], int] | None:
    """The arguments of the call of a name, and the closing bracket; with `templates`, also of `name<…>(…)`."""
    last = stream.angles.get(name + 1, name) if templates else name
    return arguments(stream, last + 2) if stream.follows(last, "(") else None


def template_arguments(text: str, stream: Stream, opening: int) -> list[str]:
    """The arguments of a template list, as written; `opening` is the index of its "<"."""
    spans = stream.parts(opening + 1, stream.angles.get(opening, 0))
    return [text[stream[start].start : stream[end - 1].end] for start, end in spans if start < end]


def fill(replacement: str, text: str, match: Match) -> list[Edit]:
    """The edits that make a match the replacement; what variables stand for is left where it is.

    So a match inside what a variable stands for can be replaced at the same time.
    """
    edits: list[Edit] = []
    position, new, at = match.start, "", 0
    variables = list(_VARIABLE.finditer(replacement))
    spans = [match.captures[variable[0].lstrip("$")] for variable in variables]
    in_order = spans == sorted(spans)
    for variable, (start, end) in zip(variables, spans, strict=True):
        new += replacement[at : variable.start()]
        at = variable.end()
        value = text[start:end]
        if not value.strip():  # nothing was there: drop the comma before it
            new = re.sub(r",\s*$", "", new)
            continue
        if "\n" in value[: -len(value.lstrip())] or text[start - 1] == new[-1:]:
            new = new.rstrip(" ")
        else:
            start = end - len(value.lstrip())
        if in_order:
            edits.append(Edit(position, start, new))
            position, new = end, ""
        else:
            new += text[start:end]
    edits.append(Edit(position, match.end, new + replacement[at:]))
    if match.arrow and edits[0].new.startswith("."):
        edits[0] = replace(edits[0], new="->" + edits[0].new[1:])
    return edits
