"""The functions of a C++ or CUDA text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import takewhile

from dcnbuild.port.layout import NEXT, OPENS, Directive
from dcnbuild.port.stream import Stream

_NO_FUNCTION = frozenset({"if", "for", "while", "switch", "catch", "return", "sizeof", "decltype"})
#: Signs that may stand between parameters and a body, and names that do not.
_BEHIND_PARAMETERS = frozenset({"&", "::", "*", "<", ">", "->", ","})
_NO_HEAD = frozenset({"else", "do", "try", "struct", "class", "namespace", "enum", "union"})
TENSOR = re.compile(r"(?:::)?(?:(?:at|torch|torch::stable)::)?Tensor")
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


@dataclass(frozen=True)
class Signature:
    """A function of the project: what it returns, as written, and its parameters."""

    name: str
    returns: str
    parameters: tuple[Parameter, ...]
    template: bool = False

    @property
    def types(self) -> tuple[str, ...]:
        """The parameters' types without const and the tensor's namespace, to compare two declarations."""
        return tuple(re.sub(r"\bconst\b| |&", "", TENSOR.sub("Tensor", p.type)) for p in self.parameters)


@dataclass(frozen=True)
class _Brace:
    """An open brace; what is open around it hangs on it, so that an #if keeps it all in one word."""

    around: _Brace | None
    function: Function | None
    start: int
    inside: bool  # whether it or a brace around it is a function's


def functions_of(text: str, stream: Stream, directives: Iterable[Directive]) -> Iterator[Function]:
    """Finds function bodies. Each branch of an #if begins with the braces its #if began with."""
    lines = [d for d in directives if d.name in (*OPENS, *NEXT, "endif")]
    saved: list[_Brace | None] = []
    brace: _Brace | None = None
    done: set[int] = set()
    number = 0
    for index, token in enumerate(stream):
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
            function = None if inside else _function_before(text, stream, index)
            brace = _Brace(brace, function, token.end, inside or function is not None)
        elif token.text == "}" and brace is not None:
            if brace.function is not None and brace.start not in done:
                done.add(brace.start)
                yield replace(brace.function, body=(brace.start, token.start))
            brace = brace.around


def _function_before(text: str, stream: Stream, brace: int) -> Function | None:
    """The function whose body begins at this brace; its own body is not set yet."""
    close = _close_of_parameters(stream, brace - 1)
    opening = stream.partner[close] if close > 0 else 0
    if opening < 1 or stream[opening - 1].kind != "name" or stream[opening - 1].text in _NO_FUNCTION:
        return None
    first = opening - 1
    while first and opening - first < 200 and stream[first - 1].text not in (";", "}", "{", ")", "="):
        first -= 1
    specifiers = frozenset(token.text for token in stream[first : opening - 1])
    if specifiers & {"return", "new", "else"}:
        return None
    parameters = tuple(parameters_of(text, stream, opening + 1, close))
    return Function(stream[opening - 1].text, parameters, stream[first].start, (0, 0), specifiers)


def _close_of_parameters(stream: Stream, index: int) -> int:
    """The ")" of the parameters before a body, over `const`, `-> type` and initialisers; -1 where there are none."""
    steps = 0
    while index >= 0 and steps < 200:
        text = stream[index].text
        if text == ")":
            opening = stream.partner[index]
            if opening < 0 or stream.ends[opening + 1] >= 0:  # a statement ends between them
                return -1
            name = stream.qualified(max(stream.openings.get(opening - 1, opening) - 1, 0))
            before = stream[name - 1].text if name else ""
            if stream[opening - 1].text in ("throw", "noexcept"):  # `noexcept(false)`
                before, name = "", opening - 1
            elif before not in (":", ",") or stream[name].text != "::" and stream[name].kind != "name":
                return index
            index = name - 1 - (before == ":")  # an initialiser of a member or a base
        elif text in _NO_HEAD or not (stream[index].kind == "name" or text in _BEHIND_PARAMETERS):
            return -1
        else:
            index -= 1
            steps += 1
    return -1


def parameters_of(text: str, stream: Stream, index: int, close: int) -> Iterator[Parameter]:
    """The parameters between the brackets of a function; `index` is behind the opening one."""
    for start, end in stream.parts(index, close):
        piece = list(takewhile(lambda token: token.text != "=", stream[start:end]))
        if piece:
            named = piece[-1].kind == "name" and len(piece) > 1
            written = text[piece[0].start : piece[-1 - named].end]
            yield Parameter(" ".join(written.split()), piece[-1].text if named else "")
