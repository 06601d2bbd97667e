"""What a file's preprocessor lines say: its includes, its macros, and which parts are dead."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from dcnbuild.port.conditions import RANGES, TODAY, Interval, evaluate, is_defined
from dcnbuild.port.edits import behind_line_end, line_start
from dcnbuild.port.tokens import Token

#: How many #if lines around a place are kept in mind: C++ asks compilers for 256 in all.
_DEEPEST = 256
#: What begins an #if, and what a branch of it after the first.
OPENS = ("if", "ifdef", "ifndef")
NEXT = ("elif", "else", "elifdef", "elifndef")


@dataclass(frozen=True)
class Directive:
    """One preprocessor line: its name, the solid tokens behind the name, and the lines it takes.

    `start` is where its first line begins, `end` where the next line begins.
    """

    name: str
    tokens: tuple[Token, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Include:
    """One live #include.

    Attributes:
        header: with its quotes or angle brackets.
        directive: the line.
        path: the #if lines around it that may be true, outermost first, without include guards.
    """

    header: str
    directive: Directive
    path: tuple[Directive, ...]

    @property
    def name(self) -> str:
        """The header without them."""
        return self.header[1:-1]


@dataclass(frozen=True)
class Macro:
    """One live #define: `parameters` is None for an object-like macro."""

    name: str
    parameters: tuple[str, ...] | None
    body: tuple[Token, ...]


@dataclass
class Layout:
    """The preprocessor's view of a file.

    Attributes:
        dead: spans (start, end) that no torch 2 build compiles.
        past: these, and those that are for an older torch or CUDA than today's.
        branches: (offset, path): from that offset on, the code is inside those #if lines.
        arms: where each #if, #elif or #else line begins → the spans of all branches of that #if.
    """

    directives: list[Directive] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    macros: list[Macro] = field(default_factory=list)
    dead: list[tuple[int, int]] = field(default_factory=list)
    past: list[tuple[int, int]] = field(default_factory=list)
    branches: list[tuple[int, tuple[Directive, ...]]] = field(default_factory=list)
    arms: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def is_past(self, offset: int) -> bool:
        """Whether the code at that offset is for an older torch or CUDA than today's."""
        at = bisect.bisect(self.past, offset, key=lambda span: span[0])
        return at > 0 and offset < self.past[at - 1][1]

    def alternatives(self, offset: int) -> Iterator[tuple[int, int]]:
        """The spans that are compiled instead of the code at an offset, where its #if goes that way."""
        for line in self.path_at(offset):
            yield from (s for s in self.arms.get(line.start, ()) if not s[0] <= offset < s[1])

    def path_at(self, offset: int) -> tuple[Directive, ...]:
        """The #if, #elif and #else lines around an offset, outermost first."""
        at = bisect.bisect(self.branches, offset, key=lambda branch: branch[0])
        return self.branches[at - 1][1] if at else ()


@dataclass
class _Level:
    """One open #if: whether an earlier branch was surely taken, and how this one stands."""

    line: Directive
    taken: bool | None
    now: bool | None
    guard: bool
    arms: list[tuple[int, int]] = field(default_factory=list)


def read_layout(
    text: str, tokens: Sequence[Token], own: frozenset[str] = frozenset(), ranges: Mapping[str, Interval] = RANGES
) -> Layout:
    """The layout of a tokenized file.

    Args:
        text: the source.
        tokens: its tokens.
        own: the macros that the project defines, whose state is therefore not known.
        ranges: what the macros for versions may be.
    """
    layout = Layout(directives=list(_directives(text, tokens)))
    levels: list[_Level] = []
    path: tuple[Directive, ...] = ()
    dead = dead_since = 0  # how many of the levels are not compiled, and where the first of them begins
    guards = guard_lines(layout.directives)
    for line in layout.directives:
        was_dead = dead > 0
        if line.name in OPENS:
            truth = _truth(line, own, ranges)
            guard = line in guards
            levels.append(_Level(line, truth, None if guard else truth, guard))
            dead += levels[-1].now is False
        elif line.name in (*NEXT, "endif") and levels:
            level = levels[-1]
            level.arms.append((level.line.end, line.start))
            layout.arms[level.line.start] = level.arms
            dead -= level.now is False
            if line.name == "endif":
                levels.pop()
            else:
                truth = True if line.name == "else" else _truth(line, own, ranges)
                level.line = line
                level.now = False if level.taken else None if level.taken is None and truth else truth
                dead += level.now is False
                level.taken = True if True in (level.taken, truth) else None if level.taken is None else truth
        else:
            kind = line.tokens[0].kind if line.tokens and not was_dead else ""
            if line.name == "define" and kind:
                layout.macros.append(_macro(line))
            elif line.name == "include" and kind in ("header", "string"):
                layout.includes.append(Include(line.tokens[0].text, line, path))
            continue
        path = tuple(level.line for level in levels[:_DEEPEST] if not level.guard)
        if dead and not was_dead:
            dead_since = line.end
        elif was_dead and not dead:
            layout.dead.append((dead_since, line.start))
        layout.branches.append((line.end, path))
    if dead:
        layout.dead.append((dead_since, len(text)))
    asked = {token.text for line in layout.directives if line.name in ("if", "elif") for token in line.tokens}
    both = ranges is RANGES and asked & set(TODAY)
    layout.past = read_layout(text, tokens, own, TODAY).dead if both else layout.dead
    return layout


def _directives(text: str, tokens: Sequence[Token]) -> Iterator[Directive]:
    for _, group in groupby((token for token in tokens if token.line), key=lambda token: token.line):
        members = list(group)
        solid = tuple(token for token in members if token.solid)
        span = line_start(text, members[0].start), behind_line_end(text, members[-1].end)
        yield Directive(solid[1].text if len(solid) > 1 else "", solid[2:], *span)


def _truth(line: Directive, own: frozenset[str], ranges: Mapping[str, Interval]) -> bool | None:
    if line.name in ("if", "elif"):
        return evaluate(line.tokens, own, ranges)
    if not line.tokens:
        return None
    defined = is_defined(line.tokens[0].text, own)
    return defined if line.name in ("ifdef", "elifdef") or defined is None else not defined


def guard_lines(lines: Sequence[Directive]) -> list[Directive]:
    """The `#pragma once`, or the `#ifndef X` and `#define X`, that a header begins with."""
    once = [line for line in lines[:1] if line.name == "pragma" and [token.text for token in line.tokens] == ["once"]]
    pair = lines[len(once) : len(once) + 2]
    names = [[token.text for token in line.tokens] for line in pair]
    guards = [line.name for line in pair] == ["ifndef", "define"] and len(names[0]) == 1 and names[0] == names[1]
    return [*once, *pair] if guards else once


def _macro(line: Directive) -> Macro:
    name, rest = line.tokens[0], line.tokens[1:]
    if not rest or rest[0].text != "(" or rest[0].start != name.end:
        return Macro(name.text, None, rest)
    end = next((i for i, token in enumerate(rest) if token.text == ")"), len(rest) - 1)
    parameters = tuple(token.text for token in rest[1:end] if token.text != ",")
    return Macro(name.text, parameters, rest[end + 1 :])
