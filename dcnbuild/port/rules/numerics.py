"""THCNumerics and ScalarConvert: arithmetic on half and float alike, which c10::Half has itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments_of
from dcnbuild.port.rule import Scope, entries, rewrites
from dcnbuild.port.stream import Stream

#: Source: the members of THCNumerics in torch 1.10's THC/THCNumerics.cuh.
_OPERATORS = {
    **{"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="},
    **{"add": "+", "sub": "-", "mul": "*", "div": "/"},
}
_FUNCTIONS = frozenset(
    {"exp", "log", "cos", "sin", "sqrt", "rsqrt", "ceil", "floor", "trunc", "acos", "cosh", "asin"}
    | {"sinh", "tan", "atan", "tanh", "erf", "round", "abs", "pow", "atan2", "isnan", "isinf"}
)
_LIMITS = {"min": "lowest", "max": "max"}


def _member(stream: Stream, index: int) -> tuple[int, int] | None:
    """For `Name<…>::member(`, the indices of the ">" and of the member; None for another shape."""
    close = stream.angles.get(index + 1, 0)
    shape = close and stream.follows(close, "::") and stream.follows(close + 2, "(")
    return (close, close + 2) if shape else None


def rewrite_thc_numerics(code: Code, scope: Scope) -> Iterable[Edit]:
    """The outermost calls; those inside them are found when these are done."""
    for stream, index in code.names("THCNumerics") if "THCNumerics" not in scope.own else ():
        found = _member(stream, index)
        called = arguments_of(stream, found[1]) if found else None
        if found is None or called is None:
            continue
        values = [code.written(stream, *span) for span in called[0]]
        new = _expression(stream[found[1]].text, code.written(stream, index + 2, found[0]), values)
        if new:
            yield stream.edit(index, called[1], new)


def _expression(name: str, type: str, values: Sequence[str]) -> str:
    if name in _OPERATORS and len(values) == 2:
        return f"(({values[0]}) {_OPERATORS[name]} ({values[1]}))"
    if name == "neg" and len(values) == 1:
        return f"(-({values[0]}))"
    if name in _LIMITS and not values:
        return f"at::numeric_limits<{type}>::{_LIMITS[name]}()"
    if name in _FUNCTIONS and values:
        return f"::{name}({', '.join(values)})"
    return ""


def rewrite_thc_scalar_convert(code: Code, scope: Scope) -> Iterable[Edit]:
    """`ScalarConvert<From, To>::to(a)`."""
    for stream, index in code.names("ScalarConvert") if "ScalarConvert" not in scope.own else ():
        found = _member(stream, index)
        if found is None or stream[found[1]].text != "to":
            continue
        words = stream.words(index + 2, found[0] - index - 2)
        if "," in words and "<" not in words:
            target = code.written(stream, index + 3 + words.index(","), found[0])
            yield stream.edit(index, found[1], f"static_cast<{target}>")


RULES = entries(__file__, rewrites(globals()))
