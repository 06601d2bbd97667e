"""Tensors: type(), data<T>(), packed accessors, and at::Type with the factories and conversions that take one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.spans import receiver
from dcnbuild.port.stream import Stream
from dcnbuild.port.tokens import Token

_NAMES = beside(__file__, "aten_names.yaml")
#: Types that no torch on Linux has `data_ptr<T>` for → the one with the same bytes that it has it for.
_NO_SYMBOL = _NAMES["no_symbol"]
#: Factories of at::Type → the method of a tensor, and the function, of the same meaning.
_FACTORIES = _NAMES["factories"]
_FUNCTIONS = _FACTORIES | _NAMES["functions"]
_TYPE = re.compile(r"\bat ?:: ?Type\b|\bDeprecatedTypeProperties\b")


def rewrite_dispatch_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """The type argument of AT_DISPATCH_* and of the project's macros around it."""
    for stream, index in code.names("switch"):  # switch (x.type())
        close = stream.close_of(index)
        method = _type_call(stream, index + 2, close)
        if method and code.is_tensor(stream[close - 5]):
            yield stream.edit(method, method, "scalar_type")
    for stream, _, given, _ in code.calls("|".join([r"AT_DISPATCH_\w+", *sorted(scope.dispatchers)])):
        for start, end in given:
            if start < end and stream[start].text in ("{", "["):
                break  # the lambda: what is dispatched stands before it
            method = _type_call(stream, start, end)
            # Shim(x.type()), where Shim is a struct of the project's, stood for both kinds of types
            shim = f"struct {stream[start].text}" in scope.own and stream.close_of(start) == end - 1
            inside = _type_call(stream, start + 2, end - 1) if shim else 0
            if inside:
                yield stream.edit(start, start + 1, "")
                yield stream.edit(inside, end - 1, "scalar_type()")
            elif method:
                yield stream.edit(method, method, "scalar_type")
            elif end == start + 1 and is_type_variable(code, stream[start]):
                yield stream.behind(start, ".scalarType()")


def _type_call(stream: Stream, start: int, end: int) -> int:
    """The index of the `type` of an argument between these indices that ends in `.type()`; 0 for another."""
    asked = end - start > 4 and stream.preceded(end, "type", "(", ")")
    return end - 3 if asked and stream[end - 4].text in (".", "->") else 0


def _without_conversion(stream: Stream, end: int) -> int:
    """Where what ends at an index ends without a `.toScalarType(…)` behind it."""
    opening = stream.partner[end - 1] if end > 0 else -1
    return opening - 2 if opening > 1 and stream.preceded(opening, ".", "toScalarType") else end


def is_type_variable(code: Code, name: Token) -> bool:
    """Whether this is an at::Type& parameter, or a variable that was set to some `.type()`."""
    function = code.function_at(name.start)
    if name.kind != "name" or function is None:
        return False
    if any(p.name == name.text and _TYPE.search(p.type) for p in function.parameters):
        return True
    stream = code.live
    before = (index for index in code.uses(function, name.text) if stream[index].start < name.start)
    ends = ((index, stream.ends[index]) for index in before if stream.follows(index, "="))
    return any(_type_call(stream, i, _without_conversion(stream, e)) or _backend(code, stream, e - 1) for i, e in ends)


def _typed(code: Code, names: str) -> Iterator[tuple[Stream, int, int, str]]:
    """Calls like `x.data<T>()`: (stream, index of the name, index of the ">", T), but for those of a storage."""
    for stream, index in code.names(names):
        close = stream.angles.get(index + 1, 0)
        of_storage = stream.preceded(index, "storage", "(", ")", ".")
        if close > index + 2 and stream.follows(close, "(", ")") and not of_storage:
            yield stream, index, close, " ".join(stream.words(index + 2, close - index - 2))


def rewrite_tensor_data(code: Code, scope: Scope) -> Iterable[Edit]:
    """`.data<T>()`; a `long` in it is what int64 tensors hold."""
    for stream, index, close, type in _typed(code, "data") if "template data" not in scope.own else ():
        if stream.words(index - 1, 1) in (["."], ["->"], ["template"]) and type not in _NO_SYMBOL:
            yield stream.edit(index, index, "data_ptr")
            if type in ("long", "long int"):
                yield stream.edit(index + 2, close - 1, "int64_t")


def rewrite_tensor_data_symbol(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.data_ptr<T>()` of a type that no torch has it for: what it does have, and a cast to the same pointer."""
    own = {"template data", "template data_ptr"} & scope.own
    for stream, index, close, type in _typed(code, "data|data_ptr") if not own else ():
        dot = index - 1 - stream.preceded(index, "template")
        member = dot > 0 and stream[dot].text in (".", "->")
        first = receiver(stream, dot) if member and type in _NO_SYMBOL and type not in scope.own else None
        if first is not None:
            yield stream.before(first, f"reinterpret_cast<{type}*>(")
            yield stream.edit(index, close + 2, f"data_ptr<{_NO_SYMBOL[type]}>())")


def rewrite_pointer_traits(code: Code, scope: Scope) -> Iterable[Edit]:
    """Traits as arguments of a template, where no `using namespace at` before them brings them."""
    for stream, index in code.names("RestrictPtrTraits|DefaultPtrTraits"):
        places = (i for space in ("at", "torch") for i in stream.places.get(space, ()) if i < index)
        used = scope.is_torch(stream, index) and any(stream.preceded(i, "namespace") for i in places)
        if stream[index - 1].text in "<,=" and not used and stream[index].text not in scope.own:
            yield stream.before(index, "at::")


def rewrite_at_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::Type` as the type of a variable, a member or a parameter; `Type&` where a file uses namespace at."""
    for stream, index in code.names("Type"):
        whole = not stream.follows(index, "::") and not stream.preceded(index - 2, "::")
        if scope.is_torch(stream, index) and (whole if stream.preceded(index, "::") else stream.follows(index, "&")):
            yield stream.edit(index, index, "DeprecatedTypeProperties")


def rewrite_type_factory(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.type().tensor({n})`, and the same of at::CUDA(at::kFloat) and at::CPU(at::kFloat)."""
    for stream, index, given, last in code.calls("|".join(_FUNCTIONS)):
        name = stream[index].text
        if not stream.preceded(index, ".") or (len(given) > 1 and name != "tensorFromBlob"):
            continue
        new, sizes = _FUNCTIONS[name], "" if given else "{0}"
        scalar = stream.partner[index - 2]
        if stream.preceded(index - 1, "type", "(", ")"):
            first = receiver(stream, index - 5) if index >= 5 and stream[index - 5].text in (".", "->") else None
            if first is not None and name in _FACTORIES:
                yield stream.edit(index - 4, index, f"new_{new}")
                yield stream.before(last, sizes)
            elif first is not None:
                yield stream.edit(first, index, f"at::{new}")
                yield stream.before(last, f"{sizes}, {code.written(stream, first, index - 4)}options()")
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


def rewrite_storage_data(code: Code, scope: Scope) -> Iterable[Edit]:
    """`static_cast<float*>(x.storage().data())` and `float* p = x.storage().data();`: it gives what is const."""
    for stream, index in code.names("data"):
        ours = stream.preceded(index, "storage", "(", ")", ".") and stream.follows(index, "(", ")")
        first = receiver(stream, index - 1) if ours else None
        if first is not None and stream.words(first - 1, 1) in (["("], ["="]):
            opening = stream.openings.get(first - 2, stream.statement(first))  # of the cast's type, or the declaration
            if "*" in stream.words(opening, first - opening) and not stream.used("const", opening, first):
                yield stream.edit(index, index, "mutable_data")


def rewrite_type_first(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::zeros(type, sizes)`: the type of a tensor, of at::CUDA(…) or of a variable stands first."""
    for stream, index, given, last in code.calls("|".join(_NAMES["type_first"])):
        if len(given) < 2 or not scope.is_torch(stream, index):
            continue
        start, end = given[0]
        found = _backend(code, stream, end - 1)
        if found is not None:
            options = found[1]
        elif tensor := _type_call(stream, start, _without_conversion(stream, end)):
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
    """The name of a `CUDA(type)` or `CPU(type)`, or the start of an `x.type().toBackend(b)`, that ends at this ")".

    And the options that mean the same.
    """
    opening = stream.partner[close] if close > 0 else -1
    device = stream[opening - 1].text if opening > 0 else ""
    if device in ("toBackend", "toScalarType") and (first := receiver(stream, opening - 2)) is not None:
        chain = code.written(stream, first, close + 1)
        return (first, f"{chain}.options()") if "type" in chain and "toBackend" in chain else None
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
        elif type := _type_call(stream, index + 2, _without_conversion(stream, close)):
            yield stream.edit(index, index, "to")
            yield stream.edit(type, type, "options")
            if type + 3 < close:
                yield stream.edit(type + 4, type + 4, "dtype")


RULES = entries(__file__, globals())
