"""Operators that the dispatcher calls by name: their overloads, and how a call's arguments are passed.

Source: the schemas that torch 2.14.1 registers, the same since 2.10; `tests/port/test_stable_rules.py`
compares them. Operators that take a Scalar are not in it: the stable ABI has no value for one. Where torch has the
same with a tensor, a number becomes a tensor without dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dcnbuild.port.code import Code
from dcnbuild.port.stable.expressions import Expressions
from dcnbuild.port.stream import Stream

_LIKE = "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None,"
_ONE = "Tensor self"
_TWO = "Tensor self, Tensor other"
_DIM = "Tensor self, int dim, bool keepdim=False"
#: name.overload → parameters as in torch's schemas; results only where they are not one Tensor.
_SCHEMAS: dict[str, str] = {
    "permute": "Tensor self, int[] dims",
    "expand": "Tensor self, int[] size, bool implicit=False",
    "expand_as": _TWO,
    "t": _ONE,
    "index_select": "Tensor self, int dim, Tensor index",
    "gather": "Tensor self, int dim, Tensor index, bool sparse_grad=False",
    "scatter_add": "Tensor self, int dim, Tensor index, Tensor src",
    "scatter_add_": "Tensor self, int dim, Tensor index, Tensor src",
    "masked_fill.Tensor": "Tensor self, Tensor mask, Tensor value",
    "masked_fill_.Tensor": "Tensor self, Tensor mask, Tensor value",
    "masked_select": "Tensor self, Tensor mask",
    "where.self": "Tensor condition, Tensor self, Tensor other",
    "cat": "Tensor[] tensors, int dim=0",
    "stack": "Tensor[] tensors, int dim=0",
    "mm": "Tensor self, Tensor mat2",
    "bmm": "Tensor self, Tensor mat2",
    "transpose_": "Tensor self, int dim0, int dim1",
    "unsqueeze_": "Tensor self, int dim",
    "t_": _ONE,
    "mv": "Tensor self, Tensor vec",
    "dot": "Tensor self, Tensor tensor",
    "outer": "Tensor self, Tensor vec2",
    "zeros_like": f"Tensor self, {_LIKE} MemoryFormat? memory_format=None",
    "ones_like": f"Tensor self, {_LIKE} MemoryFormat? memory_format=None",
    "rand_like": f"Tensor self, {_LIKE} MemoryFormat? memory_format=None",
    "randn_like": f"Tensor self, {_LIKE} MemoryFormat? memory_format=None",
    **dict.fromkeys(
        (
            *("sigmoid", "tanh", "relu", "exp", "log", "sqrt", "abs", "neg", "floor", "ceil", "round"),
            *("square", "rsqrt", "reciprocal", "sign", "isnan", "isfinite", "logical_not", "nonzero"),
            "bitwise_not",
            *("detach", "zero_", "squeeze", "sigmoid_", "tanh_", "relu_", "exp_"),
        ),
        _ONE,
    ),
    **dict.fromkeys(
        (
            *("mul.Tensor", "mul_.Tensor", "div.Tensor", "div_.Tensor", "eq.Tensor", "ne.Tensor"),
            *("lt.Tensor", "le.Tensor", "gt.Tensor", "ge.Tensor", "logical_and", "maximum", "minimum"),
            *("max.other", "min.other", "type_as", "view_as", "reshape_as", "remainder.Tensor"),
            *("bitwise_and.Tensor", "bitwise_or.Tensor", "bitwise_xor.Tensor"),
            *("bitwise_and_.Tensor", "bitwise_or_.Tensor", "bitwise_xor_.Tensor"),
        ),
        _TWO,
    ),
    "matmul": _TWO,
    "sum": "Tensor self, ScalarType? dtype=None",
    "sum.dim_IntList": "Tensor self, int[1]? dim, bool keepdim=False, ScalarType? dtype=None",
    "mean": "Tensor self, ScalarType? dtype=None",
    "mean.dim": "Tensor self, int[1]? dim, bool keepdim=False, ScalarType? dtype=None",
    "max": _ONE,
    "min": _ONE,
    "any": _ONE,
    "all": _ONE,
    "max.dim": _DIM + " -> Tensor, Tensor",
    "min.dim": _DIM + " -> Tensor, Tensor",
    "any.dim": _DIM,
    "all.dim": _DIM,
    "argmax": "Tensor self, int? dim=None, bool keepdim=False",
    "argmin": "Tensor self, int? dim=None, bool keepdim=False",
    "sort": "Tensor self, int dim=-1, bool descending=False -> Tensor, Tensor",
    "topk": "Tensor self, int k, int dim=-1, bool largest=True, bool sorted=True -> Tensor, Tensor",
    "cumsum": "Tensor self, int dim, ScalarType? dtype=None",
    "softmax.int": "Tensor self, int dim, ScalarType? dtype=None",
    "log_softmax.int": "Tensor self, int dim, ScalarType? dtype=None",
    "squeeze.dim": "Tensor self, int dim",
    "slice.Tensor": "Tensor self, int dim=0, int? start=None, int? end=None, int step=1",
    "narrow": "Tensor self, int dim, int start, int length",
    "split.Tensor": "Tensor self, int split_size, int dim=0 -> Tensor[]",
    "chunk": "Tensor self, int chunks, int dim=0 -> Tensor[]",
    "unbind.int": "Tensor self, int dim=0 -> Tensor[]",
    "resize_": "Tensor self, int[] size, MemoryFormat? memory_format=None",
    "copy_": "Tensor self, Tensor src, bool non_blocking=False",
    "fill_.Tensor": "Tensor self, Tensor value",
    "repeat": "Tensor self, int[] repeats",
    "flip": "Tensor self, int[] dims",
    "amax": "Tensor self, int[1] dim=[], bool keepdim=False",
    "amin": "Tensor self, int[1] dim=[], bool keepdim=False",
    "unfold": "Tensor self, int dimension, int size, int step",
    "conv2d": "Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=[1, 1],"
    " int[2] padding=[0, 0], int[2] dilation=[1, 1], int groups=1",
    "linear": "Tensor input, Tensor weight, Tensor? bias=None",
    "_unique2": "Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False"
    " -> Tensor, Tensor, Tensor",
    "to.other": "Tensor self, Tensor other, bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None",
}
#: Operators of which torch has another overload, with a Scalar: its place → where the tensor beside it stands.
_NUMBERS = {
    **dict.fromkeys(("mul", "mul_", "div", "div_", "eq", "ne", "lt", "le", "gt", "ge", "remainder"), (1, 0)),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), (1, 0)),
    **dict.fromkeys(("bitwise_and_", "bitwise_or_", "bitwise_xor_"), (1, 0)),
    **dict.fromkeys(("masked_fill", "masked_fill_"), (2, 0)),
    "where": (2, 1),
}
#: Operators that take a Scalar, and what comes to the same without one.
COMPOSED = {
    "add": "ported_added({0}, {1})",
    "sub": "ported_added({0}, {1}, -1)",
    "add_": "ported_add_({0}, {1})",
    "sub_": "ported_add_({0}, {1}, -1)",
    "clamp": 'ported_binary("aten::minimum", "", ported_binary("aten::maximum", "", {0}, {1}), {2})',
    "clamp_min": 'ported_binary("aten::maximum", "", {0}, {1})',
    "pow": "ported_pow({0}, {1})",
    "clamp_max": 'ported_binary("aten::minimum", "", {0}, {1})',
}
_TENSOR = "torch::stable::Tensor"
_BARE_INT = re.compile(r"-?\d+")


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
for _key, _text in _SCHEMAS.items():
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
        cast = {"Tensor": _TENSOR, "ScalarType": "torch::headeronly::ScalarType"}.get(bare, cast)
        return f"std::optional<{cast}>({value})" if cast else value
    return f"{cast}({value})" if cast else value


def _default(type: str, default: str | None) -> str:
    if default == "None":
        return "std::nullopt"
    if type.startswith("int["):
        return f"std::vector<int64_t>{{{(default or '')[1:-1]}}}"
    return _pass(type, {"True": "true", "False": "false"}.get(default or "", default or ""))


def written(name: str, known: Expressions, code: Code, stream: Stream, spans: Sequence[tuple[int, int]]) -> str | None:
    """What stands for a call of an operator with these arguments, the tensor of a method first; None if nothing can."""
    values = [code.written(stream, *span) for span in spans]
    if name in COMPOSED:
        form = COMPOSED[name]
        fits = len(values) == max(map(int, re.findall(r"{(\d)}", form))) + 1
        numbers = all(not value.startswith(("{", "std::nullopt")) for value in values)
        return form.format(*values) if fits and numbers else None
    operator = overload(name, known, code, stream, spans)
    place, beside = _NUMBERS.get(name, (-1, -1))
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
            _fits("Operand" if i in _NUMBERS.get(name, ()) else type, known, code, stream, span)
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
        return kind in ("tensor", None) and not literal and not text.startswith(("{", "-", "torch::headeronly"))
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
    if type.startswith(("MemoryFormat", "Layout", "Device")):
        return False
    return not text.startswith("{")
