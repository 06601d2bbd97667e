"""Signs between tensors and numbers: a * b, a + 2, -a, a > 0, a += b, a & b, ~a. The stable ABI has calls only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, disjoint
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.expressions import Expressions, expressions
from dcnbuild.port.stable.operators import written
from dcnbuild.port.stable.spans import receiver
from dcnbuild.port.stable.types import scope_of
from dcnbuild.port.stream import Stream

_ARITHMETIC = {"*": ("mul", 6), "/": ("div", 6), "%": ("remainder", 6), "+": ("add", 5), "-": ("sub", 5)}
_BITS = {"&": ("bitwise_and", 2), "^": ("bitwise_xor", 1), "|": ("bitwise_or", 0)}
#: Sign → the operator's name, and how firmly it binds.
SIGNS = {
    **_ARITHMETIC,
    **{"<": ("lt", 4), ">": ("gt", 4), "<=": ("le", 4), ">=": ("ge", 4), "==": ("eq", 3), "!=": ("ne", 3)},
    **_BITS,
    **{f"{sign}=": (f"{name}_", -1) for sign, (name, _) in {**_ARITHMETIC, **_BITS}.items() if sign != "%"},
}
#: Signs in front of a tensor.
UNARY = {"-": "neg", "~": "bitwise_not"}
#: What may stand in front of an operand that is no part of an operation itself.
_BEFORE = frozenset({"(", ",", "=", "return", "{", "}", ";", "[", "?", ":", "&&", "||", "<<"}) | {
    sign for sign, (_, binds) in SIGNS.items() if binds < 0
}


def operand(stream: Stream, index: int) -> int:
    """The index behind the operand that begins at an index."""
    while index < len(stream):
        text = stream[index].text
        if text in ("(", "[") and stream.partner[index] > 0:
            index = stream.partner[index] + 1
        elif text == "<" and index in stream.angles:
            index = stream.angles[index] + 1
        elif stream[index].kind in ("name", "number") or text in ("::", ".", "->"):
            index += 1
        else:
            break
    return index


def _is_unary(stream: Stream, index: int) -> bool:
    """Whether a sign belongs to what follows it alone."""
    before = stream[index - 1].text
    return stream[index].text == "~" or (stream[index].text == "-" and (before in _BEFORE or before in SIGNS))


def _before(stream: Stream, index: int) -> int | None:
    """Where the operand begins that ends in front of an index."""
    return index - 1 if stream[index - 1].kind == "number" else receiver(stream, index)


def _left(stream: Stream, index: int, binds: int) -> int | None:
    """Where the left side of a sign begins; None where it is no plain chain of operands."""
    start = _before(stream, index)
    while binds >= 0 and start is not None and start > 1 and stream[start - 1].text not in _BEFORE:
        if _is_unary(stream, start - 1):
            start -= 1
            continue
        sign = SIGNS.get(stream[start - 1].text)
        if sign is None:
            return None
        if sign[1] < binds:
            break
        start = _before(stream, start - 1)
    return start


def _right(stream: Stream, index: int, binds: int) -> int:
    """The index behind the right side of a sign, which begins at an index."""
    end = operand(stream, index)
    while index < end < len(stream) and end not in stream.angles and SIGNS.get(stream[end].text, ("", -1))[1] > binds:
        end = operand(stream, end + 1)
    return end


def _has_tensor(known: Expressions, stream: Stream, start: int, end: int) -> bool:
    """Whether a side is an operation, done by itself first, with a tensor in it."""
    index = start + (stream[start].text in UNARY)
    while index < end:
        behind = operand(stream, index)
        if behind <= index or (behind < end and known.kind(stream, index, behind) == "tensor"):
            return True
        if behind == end:
            return index > start and known.kind(stream, index, behind) == "tensor"
        index = behind + 1
    return False


def signed(codes: Mapping[PurePosixPath, Code]) -> dict[str, frozenset[int]]:
    """The macros of a project that have a sign beside a parameter, with the parameters' places."""
    found: dict[str, frozenset[int]] = {}
    for macro in (macro for code in codes.values() for macro in code.layout.macros):
        parameters = macro.parameters or ()
        body = ["", *(token.text for token in macro.body if token.text not in ("(", ")")), ""]
        places = {
            parameters.index(text)
            for before, text, behind in zip(body, body[1:], body[2:], strict=False)
            if text in parameters
            and behind not in (".", "->")
            and (before in SIGNS or behind in SIGNS or before in UNARY)
        }
        if places:
            found[macro.name] = frozenset(places) | found.get(macro.name, frozenset())
    return found


def rewrite_stable_sign(code: Code, scope: Scope) -> Iterable[Edit]:
    known = expressions(code, scope_of(scope).signatures)
    yield from disjoint(edit for stream in code.streams for edit in _each(code, known, stream))


def compares(known: Expressions, stream: Stream, index: int) -> bool:
    """Whether a sign is one: "<" may be of a template list, but for `f(x < 1, y > 2)`; `T* x = …` declares x."""
    if stream[index].text in ("*", "&") and stream.words(operand(stream, index + 1), 1) == ["="]:
        return False
    opening = index if index in stream.angles else stream.openings.get(index)
    if opening is None:
        return True
    start = _before(stream, opening)
    return start is not None and known.kind(stream, start, opening) == "tensor"


def _each(code: Code, known: Expressions, stream: Stream) -> Iterable[list[Edit]]:
    for index, token in enumerate(stream):
        if not 0 < index < len(stream) - 1:
            continue
        if _is_unary(stream, index):
            end = operand(stream, index + 1)
            if known.kind(stream, index + 1, end) == "tensor":
                new = f'ported_call("aten::{UNARY[token.text]}", "", {code.written(stream, index + 1, end)})'
                yield [Edit(token.start, stream[end - 1].end, new)]
            continue
        if token.text not in SIGNS or not compares(known, stream, index):
            continue
        name, binds = SIGNS[token.text]
        first = index + 1 + (stream[index + 1].text == "-")  # x * -1
        end = _right(stream, first, binds)
        if end == first or _has_tensor(known, stream, first, end):
            continue
        if first > index + 1 and known.kind(stream, first, end) == "tensor":
            continue
        start = _left(stream, index, binds)
        if start is None or _has_tensor(known, stream, start, index):
            continue
        sides = (start, index), (index + 1, end)
        kinds = [known.kind(stream, *side) for side in sides]
        left_only = binds < 0 or token.text == "&"  # `auto& x` declares x
        if "tensor" not in kinds or (left_only and kinds[0] != "tensor"):
            continue
        new = written(name, known, code, stream, sides) or ""
        if new and (binds >= 0 or end == stream.ends[index]):  # `a += b` is a statement
            yield [stream.edit(start, end - 1, new)]


RULES = entries(__file__, globals())
