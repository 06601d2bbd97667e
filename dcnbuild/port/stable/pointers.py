"""Where a tensor's memory goes: which pointers are only read through, which tensors are written to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.functions import Function, Signature
from dcnbuild.port.pattern import arguments
from dcnbuild.port.rules.guards import launches
from dcnbuild.port.stable.expressions import kind_of_type
from dcnbuild.port.stable.facts import StableScope
from dcnbuild.port.stable.spans import receiver
from dcnbuild.port.stream import Stream

_ASSIGNS = frozenset({"=", "+=", "-=", "*=", "/=", "|=", "&=", "^=", "++", "--"})
_CONST_POINTER = re.compile(r"[^*]*\bconst\b[^*]*\*")
#: Members that give another view of the same memory.
_VIEWS = frozenset(beside(__file__, "names.yaml")["views"])
MEMORY = re.compile(
    r"(?:mutable_|const_)?data_ptr|data|\w*accessor(?:32|64)?|from_blob|<<<|ported_packed|ported_accessor"
)
_ATOMIC = re.compile(r"(?:gpu)?[aA]tomic\w+")

Signatures = Mapping[str, tuple[Signature, ...]]


def is_constant(code: Code, scope: StableScope, stream: Stream, index: int, close: int) -> bool:
    """Whether the pointer of a tensor goes to a place that is known to read only.

    Args:
        code: the text.
        scope: its project.
        stream: where it stands.
        index: of `data_ptr`.
        close: of the bracket that ends its call.
    """
    start = receiver(stream, index - 1)
    if start is not None and start > 1 and stream[start - 1].text == "=":
        first = stream.statement(start - 1, "(", ")")
        return bool(_CONST_POINTER.match(" ".join(stream.words(first, start - 1 - first))))
    return start is not None and _written_by_callee(stream, index, scope.signatures) is False


def _written_by_callee(stream: Stream, index: int, signatures: Signatures) -> bool | None:
    """Whether the function that an argument goes to may write through it; None if it is not known."""
    found = _argument(stream, index)
    if found is None:
        return None
    name, position = found
    types = {
        _CONST_POINTER.match(s.parameters[position].type) is not None
        for s in signatures.get(name, ())
        if position < len(s.parameters) and "*" in s.parameters[position].type
    }
    return not types.pop() if len(types) == 1 else None


def _argument(stream: Stream, index: int) -> tuple[str, int] | None:
    """The function whose argument a place is part of, and which argument that is."""
    opening = stream.around[index]
    found = arguments(stream, opening + 1) if opening > 0 and stream[opening].text == "(" else None
    position = next((place for place, (start, end) in enumerate(found[0]) if start <= index < end), -1) if found else -1
    before = opening - 1
    if stream.preceded(opening, ">", ">", ">"):
        first = stream.statement(before)
        before = next((first + start for start in launches(stream[first:opening])), 0) - 1
    before = stream.openings.get(before, before + 1) - 1
    return (stream[before].text, position) if position >= 0 <= before and stream[before].kind == "name" else None


def mutated(codes: Mapping[PurePosixPath, Code], signatures: Signatures) -> frozenset[tuple[str, int]]:
    """(function, parameter): the tensors that functions of a project are known to write to."""
    bodies = [(code, function) for code in codes.values() for function in code.functions]
    found: set[tuple[str, int]] = set()
    passed: list[tuple[tuple[str, int], tuple[str, int]]] = []
    for code, function in bodies:
        for position, parameter in enumerate(function.parameters):
            if kind_of_type(parameter.type) != "tensor" or not parameter.name:
                continue
            if _writes(code, function, parameter.name, signatures):
                found.add((function.name, position))
            for target in _passed_on(code, function, parameter.name):
                passed.append(((function.name, position), target))
    while more := {source for source, target in passed if target in found} - found:
        found |= more
    return frozenset(found)


def _uses(code: Code, function: Function, name: str) -> Iterator[int]:
    return (i for i in code.uses(function, name) if code.live[i - 1].text not in (".", "->", "::"))


def _writes(code: Code, function: Function, name: str, signatures: Signatures) -> bool:
    """Whether a function writes to the memory of its tensor `name`, as far as its own text tells."""
    stream = code.live
    for index in _uses(code, function, name):
        at = index + 1
        while True:  # over views of it
            if stream[at].text == "[" and stream.partner[at] > 0:
                at = stream.partner[at] + 1
            elif stream[at].text == "." and stream[at + 1].text in _VIEWS:
                if not stream.follows(at + 1, "("):
                    break
                at = stream.partner[at + 2] + 1
            else:
                break
        if stream[at].text in _ASSIGNS and (at > index + 1 or stream[at].text != "="):
            return True  # x[i] = …, x += …
        if stream[at].text != "." or at + 2 >= len(stream):
            continue
        member = stream[at + 1].text
        if member.endswith("_") and not member.endswith("__") and stream[at + 2].text == "(":
            return member not in ("requires_grad_", "detach_")
        if MEMORY.fullmatch(member) and not member.startswith("const"):
            if _written_by_callee(stream, at + 1, signatures):
                return True
            held = index > 1 and stream[index - 1].text == "=" and stream[index - 2].kind == "name"
            if held and _pointer_written(code, function, stream[index - 2].text, signatures):
                return True
    return False


def _pointer_written(code: Code, function: Function, name: str, signatures: Signatures) -> bool:
    """Whether a function writes through its variable `name`, a pointer or an accessor."""
    stream = code.live
    for index in _uses(code, function, name):
        at = index + 1
        while stream[at].text == "[" and stream.partner[at] > 0:
            at = stream.partner[at] + 1
        if at > index + 1 and (stream[at].text in _ASSIGNS or stream[index - 1].text in _ASSIGNS - {"="}):
            return True
        if (
            stream[at].text == "="
            and stream[index - 1].text == "*"
            and (stream[index - 2].text in (";", "{", "}", ")"))
        ):
            return True
        called = _argument(stream, index)
        if called and _ATOMIC.fullmatch(called[0]) and called[1] == 0:
            return True
        if at == index + 1 and _written_by_callee(stream, index, signatures):
            return True
    return False


def _passed_on(code: Code, function: Function, name: str) -> Iterator[tuple[str, int]]:
    stream = code.live
    alone = (i for i in _uses(code, function, name) if stream[i + 1].text in ",)" and stream[i - 1].text in ",(")
    return filter(None, (_argument(stream, index) for index in alone))


def opaque(codes: Mapping[PurePosixPath, Code]) -> frozenset[str]:
    """The functions of a project that reach a tensor's memory, themselves or by what they call."""
    called: dict[str, set[str]] = {}
    found: set[str] = set()
    for code in codes.values():
        for function in code.functions:
            body = code.between(*function.body)
            names = {token.text for token in body if token.kind == "name"}
            called.setdefault(function.name, set()).update(names)
            if any(MEMORY.fullmatch(name) for name in names):
                found.add(function.name)
    while more := {name for name, names in called.items() if names & found} - found:
        found |= more
    return frozenset(found)
