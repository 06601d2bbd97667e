"""One C++ or CUDA text, taken apart: the streams of tokens that rules read, its names, calls and functions."""

from __future__ import annotations

import bisect
import re
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from itertools import chain
from operator import attrgetter

from dcnbuild.port.edits import Edit, indent_of, newline_of, whole_line
from dcnbuild.port.functions import Function, functions_of
from dcnbuild.port.layout import Layout, read_layout
from dcnbuild.port.pattern import Match, Span, arguments_of, find, parts_of
from dcnbuild.port.stream import Stream
from dcnbuild.port.tokens import Token, revised, tokenize

_START = attrgetter("start")
_LISTED = re.compile(r"[\w|]+")
_TYPES = frozenset({"struct", "class", "union", "enum", "using"})


class Code:
    """A text with its tokens, read once.

    Args:
        text: the source.
        own: names of functions and macros that the project defines, and which are therefore not
            torch's.
        tokens: those of the text, where they are known.
    """

    def __init__(self, text: str, own: frozenset[str] = frozenset(), tokens: list[Token] | None = None) -> None:
        self.text = text
        self.own = own
        self.edits: dict[str, list[Edit]] = {}  # what each rule that was asked has found
        if tokens is not None:
            self.__dict__["tokens"] = tokens

    @cached_property
    def tokens(self) -> list[Token]:
        """All of its tokens."""
        return tokenize(self.text)

    def after(self, text: str, edits: Iterable[Edit]) -> Code:
        """The text that edits, in order, have made of this one."""
        spans = [(edit.start, edit.end, len(edit.new)) for edit in edits]
        return Code(text, self.own, revised(self.tokens, text, spans))

    def with_own(self, own: frozenset[str]) -> Code:
        """The same text, of which more is known."""
        return self if own == self.own else Code(self.text, own, self.tokens)

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
        found = self._like(expression)
        for stream in self.streams if found else ():
            indices = chain.from_iterable(stream.places.get(name, ()) for name in found)
            yield from ((stream, index) for index in sorted(indices))

    def has(self, expression: str) -> bool:
        """Whether any name token matches a regular expression as a whole."""
        return bool(self._like(expression))

    def _like(self, expression: str) -> Collection[str]:
        if _LISTED.fullmatch(expression):  # it does nothing but list names
            return self._named.intersection(expression.split("|"))
        return list(filter(re.compile(expression).fullmatch, self._named))

    @property
    def headers(self) -> frozenset[str]:
        """The headers that it includes."""
        return frozenset(include.name for include in self.layout.includes)

    def calls(self, expression: str, templates: bool = False) -> Iterator[tuple[Stream, int, list[Span], int]]:
        """Calls of names like these, as (stream, index of the name, arguments, index of the closing bracket)."""
        for stream, index in self.names(expression):
            found = arguments_of(stream, index, templates)
            if found is not None:
                yield stream, index, *found

    def written(self, stream: Stream, start: int, end: int) -> str:
        """The text from one index of a stream to another."""
        return self.text[stream[start].start : stream[end - 1].end] if start < end else ""

    def without(self, stream: Stream, first: int, last: int) -> Edit:
        """The edit that takes a statement away; where it hangs on an `if` or `else`, an empty one stays."""
        if first and stream[first - 1].text in (")", "else", "do"):
            return stream.edit(first, last, "{}")
        return Edit(*whole_line(self.text, stream[first].start, stream[last].end), "")

    def inside(self, stream: Stream, opening: int) -> str:
        """What stands between a bracket and its partner."""
        return self.text[stream[opening].end : stream[stream.partner[opening]].start]

    @cached_property
    def functions(self) -> list[Function]:
        """Its function definitions, those of classes too, in order."""
        return sorted(functions_of(self.text, self.live, self.layout.directives), key=lambda function: function.body)

    @cached_property
    def defined(self) -> frozenset[str]:
        """The macros, functions and types that it defines; also "template f" for a template, "struct S" for a class."""
        threes = zip(self.live, self.live[1:], [*(token.text for token in self.live[2:]), ""])
        kinds = [(a.text, b.text, behind) for a, b, behind in threes if a.text in _TYPES and b.kind == "name"]
        types = {name for word, name, behind in kinds if word != "using" or behind == "="}
        structs = {f"struct {n}" for word, n, behind in kinds if word in ("struct", "class") and behind in ("{", ":")}
        macros = {macro.name for macro in self.layout.macros}
        functions = {function.name for function in self.functions}
        templates = {f"template {f.name}" for f in self.functions if "template" in f.specifiers}
        return frozenset(types | macros | functions | templates | structs)

    def is_tensor(self, name: Token) -> bool:
        """Whether a token names a parameter of the function around it that is a tensor."""
        function = self.function_at(name.start)
        return function is not None and name.text in function.tensors

    @cached_property
    def within(self) -> bool:
        """Whether names of at:: and torch:: stand alone in it: it says `using namespace at`, or is inside of one."""
        stream = self.live
        spaces = [i for name in ("at", "torch") for i in stream.places.get(name, ()) if stream.preceded(i, "namespace")]
        return any(not (stream.preceded(i - 1, "using") and stream.follows(i, "::")) for i in spaces)

    def function_at(self, offset: int, whole: bool = False) -> Function | None:
        """The function whose body holds this offset, or what stands before its body, too."""
        at = bisect.bisect(self.functions, offset, key=lambda function: function.body[0])
        for found in self.functions[max(at - 1, 0) : at + whole]:
            if (found.start if whole else found.body[0]) <= offset < found.body[1]:
                return found
        return None

    def uses(self, function: Function, name: str, whole: bool = False) -> list[int]:
        """The indices in the live code where a name stands in the body of a function, or before its body, too."""
        places = self.live.places.get(name, [])
        span = (function.start if whole else function.body[0], function.body[1])
        first, last = (bisect.bisect_left(places, self.live.at(offset)) for offset in span)
        return places[first:last]

    def gap(self, function: Function) -> str:
        """What stands in front of a statement that is put to the top of a function's body."""
        first = self.live[self.live.at(function.body[0])].start
        lines = "\n" in self.text[function.body[0] : first]
        return newline_of(self.text) + indent_of(self.text, first) if lines else " "

    def between(self, start: int, end: int) -> list[Token]:
        """The live tokens from one offset to another."""
        return self.live[self.live.at(start) : self.live.at(end)]
