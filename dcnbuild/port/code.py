"""One C++ or CUDA text, taken apart: the streams of tokens that rules read, and its functions."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain, takewhile
from operator import attrgetter

from dcnbuild.port.edits import Edit
from dcnbuild.port.layout import NEXT, OPENS, Layout, read_layout
from dcnbuild.port.pattern import Match, arguments_of, find, parts_of, skip
from dcnbuild.port.stream import Stream
from dcnbuild.port.tokens import Token, revised, tokenize

_START = attrgetter("start")
_LISTED = re.compile(r"[\w|]+")
_NO_FUNCTION = frozenset({"if", "for", "while", "switch", "catch", "return", "sizeof", "decltype"})
_TYPES = frozenset({"struct", "class", "union", "enum", "using"})
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

    @property
    def on_gpu(self) -> bool:
        """Whether it runs there."""
        return bool({"__global__", "__device__"} & self.specifiers)

    @property
    def tensors(self) -> list[str]:
        """The names of its parameters that are tensors."""
        return [parameter.name for parameter in self.parameters if parameter.is_tensor and parameter.name]


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
        self.edits: dict[str, list[Edit]] = {}  # what each rule that was asked has found

    @cached_property
    def tokens(self) -> list[Token]:
        """All of its tokens."""
        return tokenize(self.text)

    def after(self, text: str, edits: Iterable[Edit]) -> Code:
        """The text that edits, in order, have made of this one."""
        known = Code(text, self.own)
        spans = [(edit.start, edit.end, len(edit.new)) for edit in edits]
        known.__dict__["tokens"] = revised(self.tokens, text, spans)
        return known

    def with_own(self, own: frozenset[str]) -> Code:
        """The same text, of which more is known."""
        if own == self.own:
            return self
        known = Code(self.text, own)
        known.__dict__["tokens"] = self.tokens
        return known

    @cached_property
    def layout(self) -> Layout:
        """Its preprocessor lines."""
        return read_layout(self.text, self.tokens, self.own)

    @cached_property
    def live(self) -> Stream:
        """The solid tokens outside preprocessor lines that some torch 2 build compiles."""
        code = [t for t in self.tokens if not t.line and t.kind not in ("space", "comment")]
        for start, end in reversed(self.layout.dead):
            first, last = (bisect.bisect_left(code, at, key=_START) for at in (start, end))
            del code[first:last]
        return Stream(code)

    @cached_property
    def streams(self) -> list[Stream]:
        """What rules look at: the live code, and the body of each live macro."""
        return [self.live, *(Stream(macro.body) for macro in self.layout.macros if macro.body)]

    def find(self, pattern: str) -> Iterator[Match]:
        """Matches of a pattern in all streams."""
        if all(part in self._named for part in parts_of(pattern) if part.isidentifier()):
            for stream in self.streams:
                yield from find(pattern, stream)

    @cached_property
    def _named(self) -> frozenset[str]:
        """The names in all streams."""
        return frozenset().union(*(stream.places for stream in self.streams))

    def names(self, expression: str) -> Iterator[tuple[Stream, int]]:
        """Name tokens that match a regular expression as a whole, as (stream, index)."""
        found = names_like(expression, self._named)
        for stream in self.streams if found else ():
            indices = chain.from_iterable(stream.places.get(name, ()) for name in found)
            yield from ((stream, index) for index in sorted(indices))

    def has(self, expression: str) -> bool:
        """Whether any name token matches a regular expression as a whole."""
        return bool(names_like(expression, self._named))

    @property
    def headers(self) -> frozenset[str]:
        """The headers that it includes."""
        return frozenset(include.name for include in self.layout.includes)

    def calls(self, expression: str) -> Iterator[tuple[Stream, int, list[tuple[int, int]], int]]:
        """Calls of names like these, as (stream, index of the name, arguments, index of the closing bracket)."""
        for stream, index in self.names(expression):
            found = arguments_of(stream, index)
            if found is not None:
                yield stream, index, *found

    def written(self, stream: Stream, start: int, end: int) -> str:
        """The text from one index of a stream to another."""
        return self.text[stream[start].start : stream[end - 1].end] if start < end else ""

    def inside(self, stream: Stream, opening: int) -> str:
        """What stands between a bracket and its partner."""
        return self.text[stream[opening].end : stream[stream.partner[opening]].start]

    @cached_property
    def functions(self) -> list[Function]:
        """Its function definitions, those of classes too, in order."""
        return sorted(_functions(self), key=lambda function: function.body)

    @cached_property
    def _bodies(self) -> list[int]:
        return [function.body[0] for function in self.functions]

    @cached_property
    def defined(self) -> frozenset[str]:
        """The macros, functions and types that it defines; also "template f" for a template, "struct S" for a class."""
        threes = zip(self.live, self.live[1:], [*self.live[2:], None], strict=False)
        named = [three for three in threes if three[0].text in _TYPES and three[1].kind == "name"]
        kinds = [(a.text, b.text, c.text if c else "") for a, b, c in named]
        types = {name for _, name, _ in kinds}
        structs = {f"struct {n}" for word, n, behind in kinds if word in ("struct", "class") and behind in ("{", ":")}
        macros = {macro.name for macro in self.layout.macros}
        functions = {function.name for function in self.functions}
        templates = {f"template {f.name}" for f in self.functions if "template" in f.specifiers}
        return frozenset(types | macros | functions | templates | structs)

    def is_tensor(self, name: Token) -> bool:
        """Whether a token names a parameter of the function around it that is a tensor."""
        function = self.function_at(name.start)
        return function is not None and name.text in function.tensors

    def function_at(self, offset: int) -> Function | None:
        """The function whose body holds this offset."""
        at = bisect.bisect(self._bodies, offset) - 1
        found = self.functions[at] if at >= 0 else None
        return found if found and offset < found.body[1] else None

    def between(self, start: int, end: int) -> list[Token]:
        """The live tokens from one offset to another."""
        return self.live[self.live.at(start) : self.live.at(end)]


@lru_cache(maxsize=512)
def _literals(expression: str) -> frozenset[str] | None:
    """The names that an expression lists, where it does nothing else."""
    return frozenset(expression.split("|")) if _LISTED.fullmatch(expression) else None


def names_like(expression: str, names: frozenset[str]) -> frozenset[str] | list[str]:
    """Those of some names that match a regular expression as a whole."""
    listed = _literals(expression)
    if listed is not None:
        return listed & names
    return list(filter(re.compile(expression).fullmatch, names))


@dataclass(frozen=True)
class _Brace:
    """An open brace; what is open around it hangs on it, so that an #if keeps it all in one word."""

    around: _Brace | None
    function: Function | None
    start: int
    inside: bool  # whether it or a brace around it is a function's


def _functions(code: Code) -> Iterator[Function]:
    """Finds function bodies. Each branch of an #if begins with the braces its #if began with."""
    lines = [d for d in code.layout.directives if d.name in (*OPENS, *NEXT, "endif")]
    saved: list[_Brace | None] = []
    brace: _Brace | None = None
    done: set[int] = set()
    number = 0
    for index, token in enumerate(code.live):
        while number < len(lines) and lines[number].start < token.start:
            name = lines[number].name
            number += 1
            if name in OPENS:
                saved.append(brace)
            elif name in NEXT and saved:
                brace = saved[-1]
            elif saved:
                saved.pop()
        if token.text == "{":
            inside = brace is not None and brace.inside
            function = None if inside else _function_before(code, index)
            brace = _Brace(brace, function, token.end, inside or function is not None)
        elif token.text == "}" and brace is not None:
            if brace.function is not None and brace.start not in done:
                done.add(brace.start)
                yield replace(brace.function, body=(brace.start, token.start))
            brace = brace.around


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


def _close_of_parameters(stream: Stream, index: int) -> int | None:
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


def _opening(stream: Stream, close: int) -> int | None:
    """The index of the "(" that a ")" closes, where no statement ends between them."""
    opening = stream.partner[close]
    if opening < 0 or stream.ends[opening + 1] >= 0:
        return None
    return opening


def parameters_of(text: str, stream: Stream, index: int, close: int) -> Iterator[Parameter]:
    """The parameters between the brackets of a function; `index` is behind the opening one."""
    while index < close:
        end = skip(stream, index, stop_at_comma=True)
        end = close if end is None else min(end, close)
        piece = list(takewhile(lambda token: token.text != "=", stream[index:end]))
        if piece:
            named = piece[-1].kind == "name" and len(piece) > 1
            last = piece[-2] if named else piece[-1]
            written = text[piece[0].start : last.end]
            yield Parameter(" ".join(written.split()), piece[-1].text if named else "")
        index = end + 1
