"""Types of torch 0.4 and 1.0 as objects: at::Type, and the factories and conversions that take one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.result import Remark, remark, remarks
from dcnbuild.port.rule import Scope, entries, rewrites
from dcnbuild.port.rules.tensors import is_type_variable, of_storage, type_call, without_conversion
from dcnbuild.port.stream import Stream

_SPACES = ("at", "torch")
_NAMES = beside(__file__, "aten_names.yaml")
#: Factories of at::Type → the method of a tensor, and the function, of the same meaning.
_FACTORIES = _NAMES["factories"]
_FUNCTIONS = _FACTORIES | {name: name for name in _NAMES["same"]}


def rewrite_at_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::Type` as the type of a variable, a member or a parameter; `Type&` where a file uses namespace at."""
    found = list(code.names("Type"))
    using = found and any(s.preceded(i, "using", "namespace") for s, i in code.names("at"))
    for stream, index in found:
        qualified = any(stream.preceded(index, space, "::") for space in _SPACES)
        if using and stream.follows(index, "&") and not stream.preceded(index, "::"):
            if "Type" not in scope.own:
                yield stream.edit(index, index, "DeprecatedTypeProperties")
            continue
        if qualified and not stream.follows(index, "::") and not stream.preceded(index - 2, "::"):
            yield stream.edit(index, index, "DeprecatedTypeProperties")


def rewrite_type_factory(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.type().tensor({n})`, and the same of at::CUDA(at::kFloat) and at::CPU(at::kFloat)."""
    for stream, index, given, last in code.calls("|".join(_FUNCTIONS)):
        if not stream.preceded(index, ".") or len(given) > 1:
            continue
        name = stream[index].text
        new = _FUNCTIONS[name]
        sizes = "" if given else "{0}"
        scalar = stream.partner[index - 2]
        if stream.preceded(index - 1, "type", "(", ")"):
            if index >= 5 and stream[index - 5].text in (".", "->") and name in _FACTORIES:
                yield stream.edit(index - 4, index, f"new_{new}")
                yield stream.before(last, sizes)
        elif is_type_variable(code, stream[index - 2]):
            yield stream.edit(index - 2, index, f"at::{new}")
            yield stream.before(last, f"{sizes}, {stream[index - 2].text}.options()")
        elif stream.preceded(scalar, "type", "(", ")", ".", "toScalarType") and name in _FACTORIES:
            yield stream.edit(scalar - 5, index, f"new_{new}")
            yield stream.before(last, f"{sizes}, {code.inside(stream, scalar)}")
        elif (found := _backend(code, stream, index - 2)) is not None:
            backend, options = found
            first = backend - 2 if stream.preceded(backend, "::") else backend
            written = code.text[stream[index + 1].end : stream[last].start]
            yield stream.edit(first, last, f"at::{new}({written}{sizes}, {options})")


def rewrite_type_backend(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.type().backend() == at::kCUDA`, which was a backend once and is a kind of device."""
    for stream, index in code.names("backend"):
        asked = stream.preceded(index, "type", "(", ")", ".") and stream.follows(index, "(", ")")
        named = stream.words(index + 4, 3)
        kind = named[-1:] if named[1:2] == ["::"] and named[0] in _SPACES else named[:1]
        if asked and stream.words(index + 3, 1)[0] in ("==", "!=") and kind[0] in ("kCUDA", "kCPU"):
            yield stream.edit(index - 4, index, "device().type")


def left_storage(code: Code, scope: Scope) -> Iterator[Remark]:
    """What is asked of a tensor's `.storage()` and is no member of it any more."""
    found = (
        (f"storage().{stream[index].text}", stream[index].start)
        for stream, index in code.names("data|size")
        if of_storage(stream, index)
        and (stream.follows(index, "<") if stream[index].text == "data" else stream.follows(index, "(", ")"))
    )
    return remarks(partial(remark, "storage-member"), code.text, found)


def rewrite_type_first(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::zeros(type, sizes)`: the type of a tensor, of at::CUDA(…) or of a variable stands first."""
    for stream, index, given, last in code.calls("|".join(_NAMES["type_first"])):
        if len(given) < 2 or not any(stream.preceded(index, space, "::") for space in _SPACES):
            continue
        start, end = given[0]
        found = _backend(code, stream, end - 1)
        if found is not None:
            options = found[1]
        elif tensor := type_call(stream, start, without_conversion(stream, end)):
            options = code.text[stream[start].start : stream[tensor].start] + "options()"
            converted = stream.partner[end - 1] if tensor < end - 3 else -1
            if converted > 0:
                options += f".dtype({code.inside(stream, converted)})"
        elif is_type_variable(code, stream[start]) and (
            end == start + 1 or stream.follows(start, ".", "toScalarType") and stream.partner[start + 3] == end - 1
        ):
            options = f"{code.written(stream, start, end)}.options()"
        else:
            continue
        yield Edit(stream[start].start, stream[given[1][0]].start, "")
        yield stream.before(last, f", {options}")


def _backend(code: Code, stream: Stream, close: int) -> tuple[int, str] | None:
    """The name of a `CUDA(type)` or `CPU(type)` that ends at this ")", and the options that mean the same."""
    opening = stream.partner[close] if close > 0 else -1
    device = stream[opening - 1].text if opening > 0 else ""
    if device not in ("CUDA", "CPU"):
        return None
    return opening - 1, f"at::device(at::k{device}).dtype({code.inside(stream, opening)})"


def rewrite_to_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.toType(at::CUDA(at::kInt))`, and `x.toType(y.type())`."""
    for stream, index, _, close in code.calls("toType"):
        found = _backend(code, stream, close - 1)
        if found is not None and found[0] - index < 5:
            yield stream.edit(index, close, f"to({found[1]})")
        elif index + 3 == close and is_type_variable(code, stream[index + 2]):
            yield stream.edit(index, close, f"to({stream[index + 2].text}.options())")
        elif type := type_call(stream, index + 2, without_conversion(stream, close)):
            yield stream.edit(index, index, "to")
            yield stream.edit(type, type, "options")
            if type + 3 < close:
                yield stream.edit(type + 4, type + 4, "dtype")


RULES = entries(__file__, rewrites(globals()))
