"""What a project's functions take and return, read from their definitions and declarations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dcnbuild.port.code import Code
from dcnbuild.port.functions import Signature, parameters_of
from dcnbuild.port.rule import Scope
from dcnbuild.port.stable.abi import Target
from dcnbuild.port.stream import Stream
from dcnbuild.port.tokens import Token

_NOT_OF_THE_TYPE = frozenset(
    {"static", "inline", "extern", "virtual", "constexpr", "__forceinline__", "__host__"}
    | {"__device__", "__global__", "TORCH_API", "C10_EXPORT", "friend", "explicit", "public"}
)
_NO_TYPE = frozenset({"return", "new", "else", "throw", "case", "delete", "goto", "co_return"})
#: No return type has so many tokens.
_FAR = 60


@dataclass(frozen=True)
class StableScope(Scope):
    """What a file needs to know of its project to be ported to the stable ABI.

    Attributes:
        target: the release to port to.
        mutated: (function, position of a parameter): a tensor that the function writes to.
        opaque: functions that reach a tensor's memory, themselves or by what they call.
        signed: macros with a sign beside a parameter: name → the parameters' places.
        library: the namespace for this file, where it is known.
        opened: torch's namespaces that a header of the project has opened for this file.
        beside: the project's headers that this file includes.
    """

    target: Target = field(default_factory=Target)
    mutated: frozenset[tuple[str, int]] = frozenset()
    opaque: frozenset[str] = frozenset()
    signed: Mapping[str, frozenset[int]] = field(default_factory=dict)
    library: str = ""
    opened: frozenset[str] = frozenset()
    beside: tuple[Code, ...] = ()


def signatures(codes: Mapping[PurePosixPath, Code]) -> dict[str, tuple[Signature, ...]]:
    """The functions that a project defines or declares at file level, without doubles."""
    found: dict[str, dict[tuple[str, ...], Signature]] = {}
    for code in codes.values():
        for signature in _of_file(code):
            found.setdefault(signature.name, {}).setdefault(signature.types, signature)
    return {name: tuple(known.values()) for name, known in found.items()}


def _of_file(code: Code) -> Iterable[Signature]:
    stream = code.live
    for index, token in enumerate(stream):
        if token.text != "(" or index == 0 or stream[index - 1].kind != "name":
            continue
        close = stream.partner[index]
        if close < 0 or close + 1 >= len(stream) or _inside(code, stream, index):
            continue
        behind = close + 1
        while behind < len(stream) and stream[behind].text in ("const", "noexcept", "override"):
            behind += 1
        if behind >= len(stream) or stream[behind].text not in (";", "{"):
            continue
        first = index - 1
        while first and index - first < _FAR and stream[first - 1].text not in (";", "}", "{"):
            first -= 1
            if stream[first].text in (")", "="):
                break
        words = stream[first : index - 1]
        if not words or words[0].text in (")", "=", *_NO_TYPE):
            continue
        template, words = _without_template(words, stream, first)
        words = [w for w in words if w.text not in _NOT_OF_THE_TYPE and w.kind != "string"]
        if not words or words[-1].text in ("::", ".", "->", ","):
            continue
        returns = " ".join(code.text[words[0].start : words[-1].end].split())
        parameters = tuple(parameters_of(code.text, stream, index + 1, close))
        if [p.type for p in parameters] == ["void"]:
            parameters = ()
        yield Signature(stream[index - 1].text, returns, parameters, template)


def _without_template(words: list[Token], stream: Stream, first: int) -> tuple[bool, list[Token]]:
    if words[0].text != "template":
        return False, list(words)
    close = stream.angles.get(first + 1, first)
    return True, list(words[close + 1 - first :])


def _inside(code: Code, stream: Stream, index: int) -> bool:
    """Whether a place is inside a function or a bracket that is no namespace."""
    around = stream.around[index]
    while around >= 0:
        if stream[around].text != "{":
            return True
        before = [token.text for token in stream[max(around - 6, 0) : around]]
        last = max((i for i, t in enumerate(before) if t in (";", "}", "{", ")")), default=-1)
        head = before[last + 1 :]
        if "namespace" not in head and head[:1] != ["extern"]:
            return True
        around = stream.around[around]
    return False
