"""THCNumerics and ScalarConvert: arithmetic on half and float alike, which c10::Half has itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments, skip_angle
from dcnbuild.port.rule import Scope, entries
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
    if [token.text for token in stream[index + 1 : index + 2]] != ["<"]:
        return None
    close = skip_angle(stream, index + 2)
    if close is None or close + 3 >= len(stream):
        return None
    shape = stream[close + 1].text == "::" and stream[close + 3].text == "("
    return (close, close + 2) if shape else None


def _numerics(code: Code, scope: Scope) -> Iterable[Edit]:
    """The outermost calls; those inside them are found when these are done."""
    if "THCNumerics" in scope.own:
        return
    for stream, index in code.names("THCNumerics"):
        found = _member(stream, index)
        if found is None:
            continue
        close, member = found
        name = stream[member].text
        spans = arguments(stream, member + 2)
        if spans is None:
            continue
        values = [code.text[stream[a].start : stream[b - 1].end] for a, b in spans[0]]
        type = code.text[stream[index + 2].start : stream[close - 1].end]
        new = _expression(name, type, values)
        if new:
            yield Edit(stream[index].start, stream[spans[1]].end, new)


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


def _convert(code: Code, scope: Scope) -> Iterable[Edit]:
    if "ScalarConvert" in scope.own:
        return
    for stream, index in code.names("ScalarConvert"):
        found = _member(stream, index)
        if found is None or stream[found[1]].text != "to":
            continue
        comma = next((i for i in range(index + 2, found[0]) if stream[i].text == ","), None)
        nested = any(stream[i].text == "<" for i in range(index + 2, found[0]))
        if comma is None or nested:
            continue
        target = code.text[stream[comma + 1].start : stream[found[0] - 1].end]
        yield Edit(stream[index].start, stream[found[1]].end, f"static_cast<{target}>")


RULES = entries(
    __file__,
    {
        "thc-numerics": _numerics,
        "thc-scalar-convert": _convert,
    },
)
