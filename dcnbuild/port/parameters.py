"""Types that cannot be handed over: to a kernel, or to and from a function that is registered as an operator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.functions import parameters_of
from dcnbuild.port.result import Remark, remark, remarks
from dcnbuild.port.rule import Scope
from dcnbuild.port.stable.schema import bare
from dcnbuild.port.stream import Stream

_TABLE = beside(__file__, "parameters.yaml")
_OPERATOR, _KERNEL, _CHANGED = (re.compile("|".join(_TABLE[key])) for key in ("operator", "kernel", "changed"))
#: What a file that registers operators names.
REGISTERS = "RegisterOperators|TORCH_LIBRARY(?:_IMPL|_FRAGMENT)?"


def unfit_types(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for what a kernel takes and asks, and an operator takes or returns, and cannot."""
    kernels = ((f, p) for f in code.functions if "__global__" in f.specifiers for p in f.parameters)
    asked = [(f, p.type) for f, p in kernels if _KERNEL.fullmatch(bare(p.type)) and code.uses(f, p.name)]
    unfit = [(f"{type} of {f.name}", f.body[0]) for f, type in asked]
    yield from remarks(partial(remark, "kernel-parameter"), code.text, unfit)
    operators = [(stream[i].start, _types(code, scope, stream, i)) for stream, i in _registered(code)]
    unfit = [(f"{type} of {all[0]}", start) for start, all in operators for type in all[1:] if _is_unfit(type, scope)]
    yield from remarks(partial(remark, "operator-type"), code.text, unfit)


def _is_unfit(type: str, scope: Scope) -> bool:
    """Whether no operator can take or return this type."""
    changed = type.endswith("&") and "const" not in type and not _CHANGED.fullmatch(bare(type))
    made_of = re.split("[<>,]", bare(type))
    return changed or f"struct {bare(type)}" in scope.own or any(map(_OPERATOR.fullmatch, made_of))


def _types(code: Code, scope: Scope, stream: Stream, index: int) -> list[str]:
    """The name of the function or lambda at an index, and the types that it returns and takes."""
    opening = stream.partner[index] + 1 if stream[index].text == "[" else 0
    if opening and stream[opening].text == "(":
        return ["a lambda", *(p.type for p in parameters_of(code.text, stream, opening + 1, stream.partner[opening]))]
    found = [s for s in scope.signatures.get(stream[index].text, ()) if not s.template]
    return [found[0].name, found[0].returns, *(p.type for p in found[0].parameters)] if len(found) == 1 else [""]


def _registered(code: Code) -> Iterator[tuple[Stream, int]]:
    """The name of each function, and the bracket of each lambda, that is registered as an operator."""
    for stream, index, given, _ in code.calls("def|impl|op|RegisterOperators|TORCH_FN") if code.has(REGISTERS) else ():
        macro = stream[stream.partner[stream.around[index] - 1] - 1].text if stream.around[index] > 1 else ""
        if stream[index].text not in ("def", "impl") or re.fullmatch(REGISTERS, macro):
            yield from ((stream, first if stream[first].text == "[" else end - 1) for first, end in given)
    for stream, index in code.names("kernel|catchAllKernel"):
        if index + 1 in stream.angles:
            yield stream, stream.angles[index + 1] - 1
