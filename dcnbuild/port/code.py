"""One C++ or CUDA text, taken apart: the streams of tokens that rules read, and its functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from dcnbuild.port.layout import Directive, Layout, read_layout
from dcnbuild.port.pattern import Match, find, parts_of, skip
from dcnbuild.port.tokens import Token, tokenize

_NO_FUNCTION = frozenset({"if", "for", "while", "switch", "catch", "return", "sizeof", "decltype"})
_BEHIND_PARAMETERS = frozenset({"const", "noexcept", "override", "final", "mutable", "try", "&"})
_TENSOR = re.compile(r"^(?:const\s+)?(?:(?:::)?(?:at|torch)::)?Tensor(?:\s+const)?\s*&{0,2}$")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function: its type as written, and its name ("" if it has none)."""

    type: str
    name: str

    @property
    def is_tensor(self) -> bool:
        """Whether it is a tensor or a reference to one."""
        return bool(_TENSOR.match(self.type))


@dataclass(frozen=True)
class Function:
    """A function definition: `body` is the span of offsets between its braces."""

    name: str
    parameters: tuple[Parameter, ...]
    start: int
    body: tuple[int, int]
    specifiers: frozenset[str] = frozenset()


class Code:
    """A text with its tokens, read once.

    Args:
        text: the source.
        own: names of functions and macros that the project defines, and which are therefore not
            torch's.
    """

    def __init__(self, text: str, own: frozenset[str] = frozenset()) -> None:
        self.text = text
        self.own = own
        self.tokens: list[Token] = tokenize(text)

    @cached_property
    def layout(self) -> Layout:
        """Its preprocessor lines."""
        return read_layout(self.text, self.tokens, self.own)

    @cached_property
    def live(self) -> list[Token]:
        """The solid tokens outside preprocessor lines that some torch 2 build compiles."""
        layout = self.layout
        return [t for t in self.tokens if t.solid and not t.line and not layout.is_dead(t.start)]

    @cached_property
    def streams(self) -> list[Sequence[Token]]:
        """What rules look at: the live code, and the body of each live macro."""
        return [self.live, *(macro.body for macro in self.layout.macros if macro.body)]

    def find(self, pattern: str) -> Iterator[Match]:
        """Matches of a pattern in all streams."""
        if all(part in self.text for part in parts_of(pattern) if part.isidentifier()):
            for stream in self.streams:
                yield from find(pattern, stream)

    def names(self, expression: str) -> Iterator[tuple[Sequence[Token], int]]:
        """Name tokens that match a regular expression as a whole, as (stream, index)."""
        wanted = re.compile(expression)
        if wanted.search(self.text):
            for stream in self.streams:
                for index, token in enumerate(stream):
                    if token.kind == "name" and wanted.fullmatch(token.text):
                        yield stream, index

    @cached_property
    def functions(self) -> list[Function]:
        """Its function definitions, those of classes too, in order."""
        return list(_functions(self))

    @cached_property
    def defined(self) -> frozenset[str]:
        """The macros, functions and types that it defines; templates also as "template name"."""
        types = {
            following.text
            for token, following in zip(self.live, self.live[1:], strict=False)
            if token.text in ("struct", "class", "union", "enum", "using")
            and following.kind == "name"
        }
        macros = {macro.name for macro in self.layout.macros}
        functions = {function.name for function in self.functions}
        templates = {f"template {f.name}" for f in self.functions if "template" in f.specifiers}
        return frozenset(types | macros | functions | templates)

    def function_at(self, offset: int) -> Function | None:
        """The function whose body holds this offset."""
        return next((f for f in self.functions if f.body[0] <= offset < f.body[1]), None)

    def between(self, start: int, end: int) -> list[Token]:
        """The live tokens from one offset to another."""
        return [token for token in self.live if start <= token.start < end]


def _functions(code: Code) -> Iterator[Function]:
    """Finds function bodies. Each branch of an #if begins with the braces its #if began with."""
    stream = code.live
    lines = [d for d in code.layout.directives if d.name in ("if", "ifdef", "ifndef", *_NEXT)]
    lines += [d for d in code.layout.directives if d.name == "endif"]
    lines.sort(key=lambda line: line.start)
    saved: list[list[tuple[str, int]]] = []
    braces: list[tuple[str, int]] = []  # (what it opens, index of "{")
    found: dict[int, Function] = {}
    for index, token in enumerate(stream):
        while lines and lines[0].start < token.start:
            _branch(lines.pop(0), saved, braces)
        if token.text == "{":
            inside = any(kind == "function" for kind, _ in braces)
            function = None if inside else _function_before(code, index)
            if function is not None:
                found[index] = function
            braces.append(("function" if function else "block", index))
        elif token.text == "}" and braces:
            opened = braces.pop()[1]
            if opened in found:
                function = found.pop(opened)
                body = (stream[opened].end, token.start)
                yield Function(
                    function.name, function.parameters, function.start, body, function.specifiers
                )


_NEXT = ("elif", "else", "elifdef", "elifndef")


def _branch(
    line: Directive, saved: list[list[tuple[str, int]]], braces: list[tuple[str, int]]
) -> None:
    if line.name == "endif":
        if saved:
            saved.pop()
    elif line.name in _NEXT:
        if saved:
            braces[:] = saved[-1]
    else:
        saved.append(list(braces))


def _function_before(code: Code, brace: int) -> Function | None:
    """The function whose body begins at this brace; its own body is not set yet."""
    stream = code.live
    index = _close_of_parameters(stream, brace - 1)
    if index is None:
        return None
    opening = _opening(stream, index)
    if opening is None or opening == 0:
        return None
    name = stream[opening - 1]
    if name.kind != "name" or name.text in _NO_FUNCTION:
        return None
    first = opening - 1
    while first and stream[first - 1].text not in (";", "}", "{") and opening - first < 200:
        if stream[first - 1].text in (")", "="):
            break
        first -= 1
    specifiers = frozenset(token.text for token in stream[first : opening - 1])
    if "=" in specifiers or specifiers & {"return", "new", "else"}:
        return None
    parameters = tuple(parameters_of(code.text, stream, opening + 1, index))
    return Function(name.text, parameters, stream[first].start, (0, 0), specifiers)


def _close_of_parameters(stream: Sequence[Token], index: int) -> int | None:
    """The ")" of the parameters before a body, over `const`, `-> type` and initialisers."""
    steps = 0
    while index >= 0 and steps < 200:
        text = stream[index].text
        if text == ")":
            opening = _opening(stream, index)
            if opening is None:
                return None
            before = stream[opening - 2].text if opening > 1 else ""
            if before in (":", ",") and stream[opening - 1].kind == "name":
                index = opening - 2  # a member initialiser
                if before == ":":
                    index -= 1
                continue
            return index
        if text in _BEHIND_PARAMETERS or stream[index].kind == "name" or text in ("::", "*", "<"):
            if text in ("else", "do", "try", "struct", "class", "namespace", "enum", "union"):
                return None
        elif text not in (">", "->", ","):
            return None
        index -= 1
        steps += 1
    return None


def _opening(stream: Sequence[Token], close: int) -> int | None:
    """The index of the "(" that a ")" closes."""
    depth = 0
    for index in range(close, -1, -1):
        text = stream[index].text
        depth += (text == ")") - (text == "(")
        if not depth:
            return index
        if text in (";", "{", "}") and stream[index].kind == "punct":
            return None
    return None


def parameters_of(
    text: str, stream: Sequence[Token], index: int, close: int
) -> Iterator[Parameter]:
    """The parameters between the brackets of a function; `index` is behind the opening one."""
    while index < close:
        end = skip(stream, index, stop_at_comma=True)
        end = close if end is None else min(end, close)
        piece = list(stream[index:end])
        for number, token in enumerate(piece):
            if token.text == "=":
                piece = piece[:number]
                break
        if piece:
            named = piece[-1].kind == "name" and len(piece) > 1
            last = piece[-2] if named else piece[-1]
            written = text[piece[0].start : last.end]
            yield Parameter(" ".join(written.split()), piece[-1].text if named else "")
        index = end + 1
