"""Calls of functions that torch or CUDA still has, with other parameters, from the tables of `dcnbuild.knowledge`.

`cuCtxCreate(&context, 0, device)` has too few arguments for CUDA 13, and the last of `cudaMemAdvise(p, n, advice, 0)`
is a number where CUDA 13 takes a cudaMemLocation. Such a call is named only if an older release took it, and what it
passes can be nothing that today's form takes. Of an operator of ATen every overload is known: a call of it is named if
none of them takes what it passes.
"""

from __future__ import annotations

import re
from functools import lru_cache

from dcnbuild.base.plain_yaml import beside
from dcnbuild.knowledge import signatures, torch_calls
from dcnbuild.knowledge.entry import Entry
from dcnbuild.port.code import Code
from dcnbuild.port.functions import Function
from dcnbuild.port.pattern import Span, arguments_of
from dcnbuild.port.rules.tensors import is_type_variable
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.spans import receiver
from dcnbuild.port.stream import Stream

_NUMBER = re.compile(r"(?:unsigned|signed|long|short|int|char|u?int\d+_t|size_t| )+")
_POINTERS = ("data", "data_ptr", "const_data_ptr", "mutable_data_ptr")
#: What kind of argument a call gives, by its name, and a text by its form.
_KINDS = beside(__file__, "changed_calls.yaml")
_WRITTEN = [(kind, re.compile(pattern)) for kind, pattern in _KINDS["written"].items()]
_CASTS = ("static_cast", "reinterpret_cast", "const_cast")


def changed_since(code: Code, stream: Stream, name: int, entry: Entry, today: tuple[int, ...]) -> str:
    """The release since which the call of this entry finds no parameters for its arguments; "" if it finds them."""
    found = arguments_of(stream, name, templates=True)
    since, new, old = signatures.changed(entry, today)
    if found is None or entry.parameters is None or not since:
        return ""
    given, (least, most) = found[0], entry.parameters
    if not least <= len(given) <= most:
        # the last parameter may have had a default, which the tables do not say of older releases
        return since if any(len(types) - len(given) in (0, 1) for types in old) else ""
    former, later = ([types for types in forms if len(types) >= len(given)] for forms in (old, new))
    refused = (any(_is_old(code, stream, *p) for f in former for p in zip(given, f, types)) for types in later)
    return since if later and all(refused) else ""


def todays_form(code: Code, stream: Stream, name: int, operator: str) -> str:
    """The nearest form that an operator of ATen has, where it has none that takes the arguments of a call; else ""."""
    forms = torch_calls.forms(operator)
    found = arguments_of(stream, name, templates=True) if forms else None
    given = found[0] if found else []
    several = any(".." in stream[start].text or stream[end - 1].text[0] == "." for start, end in given)
    kinds = [_kind(code, stream, *span) for span in given]
    if found is None or several or any(form.takes(kinds) for form in forms):
        return ""
    nearest = min(forms, key=lambda form: abs(len(form.types) - len(given)))
    return f"{operator.rpartition('::')[2]}({', '.join(nearest.types)})"


def _is_old(code: Code, stream: Stream, span: Span, before: str, type: str) -> bool:
    """Whether an argument is for a parameter that was a number or a pointer, where it is a struct today."""
    start, end = span
    ours = type.startswith("cuda")  # classes of torch are made of numbers, and of texts
    wanted = "pointer" if before == "void*" else "number" if ours and _NUMBER.fullmatch(before) else ""
    if type == before or not wanted or not signatures.is_struct(type) or stream[start].text == "{":
        return False
    kind = _kind(code, stream, start, end)
    # a struct of CUDA is made by its name alone, so a file without the name has none to pass
    return kind == wanted or (not kind and ours and not code.has(type))


def _kind(code: Code, stream: Stream, start: int, end: int) -> str:
    """What an argument is known to be, as torch_calls.yaml has it, or a "pointer"; "" where that cannot be told."""
    first, last = stream[start], stream[end - 1]
    written = code.written(stream, start, end)
    told = next((kind for kind, pattern in _WRITTEN if pattern.fullmatch(written)), "")
    if told:
        return told
    if stream is code.live and expressions(code, {}).kind(stream, start, end) == "tensor":
        return "tensor"
    if end == start + 1:
        function = code.function_at(first.start) if first.kind == "name" else None
        declared = _declared(code, first.text, function) if function else ""
        return "type" if is_type_variable(code, first) else declared
    if first.text in _CASTS and stream.angles.get(start + 1, 0) > 0:
        return "pointer" if stream[stream.angles[start + 1] - 1].text == "*" else ""
    name = stream.partner[end - 1] - 1 if last.text == ")" else -1
    typed = name > 0 and stream[name].text == ">"
    name = stream.openings.get(name, 0) - 1 if typed else name
    if name <= start or receiver(stream, name - 1) != start or stream[name - 1].text not in (".", "->"):
        return ""
    of_tensor = expressions(code, {}).kind(stream, start, name - 1) == "tensor" if stream is code.live else False
    if stream[name].text in _POINTERS:
        return "pointer" if typed or of_tensor else ""
    return _KINDS["methods"].get(stream[name].text, "") if of_tensor else ""


@lru_cache(maxsize=64)
def _declared(code: Code, name: str, function: Function) -> str:
    """What a variable is declared as in a function."""
    stream = code.live
    for place in code.uses(function, name, whole=True):
        before = stream[place - 1]
        if before.text == "*" and stream[place - 2].kind == "name" and stream[place + 1].text in (",", ")", "=", ";"):
            return "pointer"
        if before.kind == "name" and _NUMBER.fullmatch(before.text):
            return "number"
    return ""
