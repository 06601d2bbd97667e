"""Schemas of operators from the signatures of C++ functions, and the wrappers that some need.

TORCH_BOX hands values on bit by bit: an operator's int is an int64_t, its float a double. A function
that takes or returns another width gets a wrapper of the right types.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.functions import Signature
from dcnbuild.port.pattern import template_arguments
from dcnbuild.port.stable.expressions import kind_of_type
from dcnbuild.port.stream import Stream
from dcnbuild.port.tokens import tokenize

_VECTOR = re.compile(r"std::vector<(.+)>")
_OPTIONAL = re.compile(r"(?:std|c10|at|torch)::optional<(.+)>")
_TUPLE = re.compile(r"(?:std::)?(?:tuple|pair)<(.+)>")


@dataclass(frozen=True)
class Value:
    """One parameter or result: its type in the schema, and the C++ type that TORCH_BOX hands over.

    `native` is whether the function's own type is that one already.
    """

    schema: str
    boxed: str
    native: bool


_TABLE = beside(__file__, "schema.yaml")
_KINDS = {kind: Value(schema, boxed, True) for kind, (schema, boxed) in _TABLE["kinds"].items()}
_TYPES = [(re.compile(row.pop("types")), Value(**row)) for row in map(dict, _TABLE["types"])]
_INT_LIST = next(names for names, value in _TYPES if value.schema == "int[]")


class NoSchema(Exception):
    """A type that has none; the message names it."""


def bare(type: str) -> str:
    """A type without const, references and superfluous spaces."""
    words = [w for w in type.replace("&", " ").split() if w not in ("const", "static", "inline")]
    return re.sub(r"\s*([<>,])\s*", r"\1", " ".join(words))


def value_of(type: str) -> Value:
    """What a C++ type is in a schema. Raises NoSchema."""
    plain = bare(type)
    if "*" in type:
        raise NoSchema(f"{type} is a pointer")
    found = _KINDS.get(kind_of_type(plain) or "") or next((v for names, v in _TYPES if names.fullmatch(plain)), None)
    if found:
        written = _INT_LIST.fullmatch(plain) and "&" in type and "const" not in type
        return replace(found, native=False) if written else found
    optional = _OPTIONAL.fullmatch(plain)
    if optional:
        inner = value_of(optional[1])
        return Value(f"{inner.schema}?", f"std::optional<{inner.boxed}>", inner.native)
    vector = _VECTOR.fullmatch(plain)
    if vector:
        inner = value_of(vector[1])
        if "[]" not in inner.schema and "?" not in inner.schema:
            return Value(f"{inner.schema}[]", f"std::vector<{inner.boxed}>", inner.native)
    raise NoSchema(f"{type} has no counterpart in a schema")


def results_of(type: str) -> list[Value]:
    """What a function returns, several values for a tuple. Raises NoSchema."""
    plain = bare(type)
    if plain == "void":
        return []
    several = _TUPLE.fullmatch(plain)
    if several:
        words = Stream(tokenize(plain))
        return [value_of(part) for part in template_arguments(plain, words, [w.text for w in words].index("<"))]
    if plain == "auto":
        raise NoSchema("its return type is not written out")
    return [value_of(plain)]


@dataclass(frozen=True)
class Boxed:
    """An operator's schema, and the text of its wrapper if the function cannot be boxed itself."""

    schema: str
    wrapper: str = ""


def boxed(
    name: str,
    signature: Signature,
    names: Sequence[str] = (),
    defaults: Sequence[str | None] = (),
    written: Sequence[bool] = (),
    wrapper: str = "",
) -> Boxed:
    """The schema of an operator, and its wrapper.

    Args:
        name: of the operator.
        signature: the function.
        names: what its parameters are called for callers, where that is said.
        defaults: their defaults, in the schema's language; None where there is none.
        written: for each whether the function writes to it.
        wrapper: what a wrapper may be called.

    Raises NoSchema.
    """
    values = [value_of(p.type) for p in signature.parameters]
    results = results_of(signature.returns)
    declared, parameters, passed = [], [], []
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    for number, (value, parameter) in enumerate(zip(values, signature.parameters, strict=True)):
        word = (names[number] if number < len(names) else "") or parameter.name or f"arg{number}"
        schema = value.schema
        if number < len(written) and written[number] and schema in ("Tensor", "Tensor?"):
            schema = schema.replace("Tensor", f"Tensor({next(letters)}!)")
        default = defaults[number] if number < len(defaults) else None
        declared.append(f"{schema} {word}" + (f"={default}" if default is not None else ""))
        plain = parameter.name or f"arg{number}"
        reference = "&" in parameter.type and "const" not in parameter.type.split()
        held = f"{value.boxed}&" if reference and value.native else value.boxed
        parameters.append(f"{held if held == value.boxed and value.boxed in _SMALL else _by(held)} {plain}")
        type = bare(parameter.type)
        made = f"{type}({plain})" if _INT_LIST.fullmatch(type) else _narrowed(type, plain)
        passed.append(plain if value.native else f"ported_lvalue({made})" if reference else made)
    back = ", ".join(value.schema for value in results)
    schema = f"{name}({', '.join(declared)}) -> {back if len(results) == 1 else f'({back})'}"
    plain_results = all(v.native for v in results) and not bare(signature.returns).startswith(("std::pair", "pair"))
    if all(value.native for value in values) and plain_results:
        return Boxed(schema)
    returned = ", ".join(value.boxed for value in results)
    type = "void" if not results else returned if len(results) == 1 else f"std::tuple<{returned}>"
    call = f"{signature.name}({', '.join(passed)})"
    body = call if plain_results else f"ported_widened<{type}>({call})"
    text = f"static {type} {wrapper}({', '.join(parameters)}) {{\n  {'return ' if results else ''}{body};\n}}\n"
    return Boxed(schema, text)


_SMALL = frozenset({"int64_t", "double", "bool", "torch::headeronly::ScalarType"})


def _by(type: str) -> str:
    return type if type.endswith("&") else f"const {type}&"


def _narrowed(type: str, name: str) -> str:
    return name if type == "float" else f'ported_narrowed<{type}>({name}, "{name}")'


def default_of(written: str, schema: str) -> str | None:
    """A C++ default in the schema's language; None if it has no counterpart."""
    text = written.strip()
    words = {"true": "True", "false": "False", "std::nullopt": "None", "c10::nullopt": "None"}
    if text in (*words, "py::none()", "at::nullopt", "torch::nullopt"):
        return words.get(text, "None")
    if schema == "float" and re.fullmatch(r"-?[\d.]+(?:[eE][-+]?\d+)?f?", text):
        return text.rstrip("f")
    if schema == "int" and re.fullmatch(r"-?\d+[lLuU]*", text):
        return text.rstrip("lLuU")
    return text if schema == "str" and re.fullmatch(r'"[^"\\]*"', text) else None
