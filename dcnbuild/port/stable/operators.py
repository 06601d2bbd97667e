"""Operators that the dispatcher calls by name: their overloads, and how a call's arguments are passed.

Source: the schemas that torch 2.14.1 registers, the same since 2.10; `tests/port/test_stable_rules.py`
compares them. Operators that take a Scalar are not in it: the stable ABI has no value for one. Where torch has the
same with a tensor, a number becomes a tensor without dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.stable.expressions import Expressions
from dcnbuild.port.stream import Stream

_TABLES = beside(__file__, "operators.yaml")
#: Operators that take a Scalar, and what comes to the same without one.
COMPOSED: dict[str, str] = _TABLES["composed"]
_TENSOR = "torch::stable::Tensor"
_ENUMS = {name: f"torch::headeronly::{name}" for name in ("ScalarType", "MemoryFormat")}
_BARE_INT = re.compile(r"-?\d+")
_CONSTANT = re.compile(r"(?:\w*::)+(?:k[A-Z]\w*|(?:ScalarType|MemoryFormat|DeviceType)::\w+)")


@dataclass(frozen=True)
class Operator:
    """One overload: its parameters as (type, name, default or None), and how many tensors it gives."""

    name: str
    overload: str
    parameters: tuple[tuple[str, str, str | None], ...]
    results: str

    @property
    def least(self) -> int:
        """How many arguments a call needs."""
        return sum(default is None for _, _, default in self.parameters)

    def call(self, values: Sequence[str]) -> str:
        """The call of the dispatcher, with values for the first of its parameters."""
        passed = [_pass(type, value) for (type, _, _), value in zip(self.parameters, values, strict=False)]
        passed += [_default(type, default) for type, _, default in self.parameters[len(values) :]]
        template = {"Tensor": "", "Tensor[]": f"<std::vector<{_TENSOR}>>"}.get(self.results)
        if template is None:
            count = self.results.count(",") + 1
            template = f"<std::tuple<{', '.join([_TENSOR] * count)}>>"
        words = ", ".join([f'"aten::{self.name}"', f'"{self.overload}"', *passed])
        return f"ported_call{template}({words})"


def _parsed(key: str, text: str) -> Operator:
    name, _, overload = key.partition(".")
    parameters, _, results = text.partition(" -> ")
    found = []
    for part in re.split(r", (?![^\[]*\])", parameters):
        type, _, rest = part.partition(" ")
        word, _, default = rest.partition("=")
        found.append((type, word, default or None))
    return Operator(name, overload, tuple(found), results or "Tensor")


OPERATORS: dict[str, list[Operator]] = {}
for _key, _text in _TABLES["schemas"].items():
    OPERATORS.setdefault(_key.partition(".")[0], []).append(_parsed(_key, _text))


def _pass(type: str, value: str) -> str:
    """An argument as a value that torch::stable::detail::from takes for a schema's type."""
    braces = value.startswith("{")
    bare = re.sub(r"\[\d*\]", "[]", type)
    optional = bare.endswith("?")
    bare = bare.removesuffix("?")
    if optional and value in ("std::nullopt", "{}", "c10::nullopt", "at::nullopt"):
        return "std::nullopt"
    if bare == "int[]":
        if _BARE_INT.fullmatch(value):
            value, braces = f"{{{value}}}", True
        value = f"std::vector<int64_t>{value}" if braces else value
        return f"std::optional<std::vector<int64_t>>({value})" if optional else value
    if bare == "Tensor[]":
        return f"std::vector<{_TENSOR}>{value}" if braces else value
    cast = {"int": "int64_t", "bool": "bool", "float": "double", "str": "std::string"}.get(bare)
    if optional:
        cast = {"Tensor": _TENSOR, **_ENUMS}.get(bare, cast)
        return f"std::optional<{cast}>({value})" if cast else value
    return f"{cast}({value})" if cast else value


def _default(type: str, default: str | None) -> str:
    if default == "None" or type == "str":
        return "std::nullopt" if default == "None" else f'std::string("{default}")'
    if type.startswith("int["):
        return f"std::vector<int64_t>{{{(default or '')[1:-1]}}}"
    return _pass(type, {"True": "true", "False": "false"}.get(default or "", default or ""))


def written(
    name: str, known: Expressions, code: Code, stream: Stream, spans: Sequence[tuple[int, int]], first: str = ""
) -> str | None:
    """What stands for a call of an operator with these arguments, the tensor of a method first; None if nothing can."""
    values = [code.written(stream, *span) for span in spans]
    values[:1] = [first or values[0]]
    if name in COMPOSED:
        form = COMPOSED[name]
        fits = len(values) == max(map(int, re.findall(r"{(\d)}", form))) + 1
        numbers = not any(value.startswith(("std::nullopt", "c10::nullopt")) for value in values)
        return form.format(*values) if fits and numbers else None
    operator = overload(name, known, code, stream, spans)
    place, beside = _TABLES["numbers"].get(name, (-1, -1))
    if operator is None:
        return None
    if place < 0 or all(known.kind(stream, *spans[i]) == "tensor" for i in (place, beside)):
        return operator.call(values)
    if place == 1:
        return f'ported_binary("aten::{name}", "{operator.overload}", {values[0]}, {values[1]})'
    if spans[beside][1] > spans[beside][0] + 1 or known.kind(stream, *spans[beside]) != "tensor":
        return None  # it would be worked out twice
    values[place] = f"ported_operand({values[place]}, {values[beside]})"
    return operator.call(values)


def overload(
    name: str, known: Expressions, code: Code, stream: Stream, spans: Sequence[tuple[int, int]]
) -> Operator | None:
    """The overload that a call with these arguments means; None if none is known, or several are."""
    fitting = [
        operator
        for operator in OPERATORS.get(name, ())
        if operator.least <= len(spans) <= len(operator.parameters)
        and all(
            _fits("Operand" if i in _TABLES["numbers"].get(name, ()) else type, known, code, stream, span)
            for i, ((type, _, _), span) in enumerate(zip(operator.parameters, spans, strict=False))
        )
    ]
    exact = [operator for operator in fitting if operator.least == len(spans)]
    chosen = exact if len(exact) == 1 else fitting
    return chosen[0] if len(chosen) == 1 else None


def _fits(type: str, known: Expressions, code: Code, stream: Stream, span: tuple[int, int]) -> bool:
    start, end = span
    kind = known.kind(stream, start, end)
    text = code.written(stream, start, end)
    first = stream[start] if start < end else None
    literal = first is not None and (first.kind in ("number", "string") or text in ("true", "false"))
    if type == "Operand":
        return kind in ("tensor", "other", None) and not text.startswith(("{", "torch::headeronly"))
    if type == "Tensor":
        return kind in ("tensor", None) and not literal and not _CONSTANT.fullmatch(text) and text[:1] not in ("{", "-")
    if type == "Tensor[]":
        return kind in ("tensors", None) and not literal
    if type == "Tensor?":
        return kind in ("tensor", "optional", None)
    if kind in ("tensor", "tensors"):
        return False
    if type.startswith("int["):
        return text.startswith("{") or not literal or bool(_BARE_INT.fullmatch(text))
    if type.startswith("ScalarType"):
        return "ScalarType" in text or "scalar_type" in text or "::k" in text
    if type.startswith("MemoryFormat"):
        return "MemoryFormat" in text
    if type.startswith(("Layout", "Device")):
        return False
    return not text.startswith("{")
