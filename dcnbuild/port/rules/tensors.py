"""Tensor methods: type(), data<T>(), packed accessors, and what AT_DISPATCH_* is given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Scope, entries, rewrites
from dcnbuild.port.stable.spans import receiver
from dcnbuild.port.stream import Stream
from dcnbuild.port.tokens import Token

#: Types that no torch on Linux has `data_ptr<T>` for → the one with the same bytes that it has it for.
_NO_SYMBOL = {
    **dict.fromkeys(("long long", "long long int", "unsigned long long"), "int64_t"),
    **dict.fromkeys(("half", "__half"), "at::Half"),
    **dict.fromkeys(("nv_bfloat16", "__nv_bfloat16"), "at::BFloat16"),
}
_PACKED = {"packed_accessor": "generic_packed_accessor", "PackedTensorAccessor": "GenericPackedTensorAccessor"}
_TYPE = re.compile(r"\bat ?:: ?Type\b|\bDeprecatedTypeProperties\b")


def rewrite_dispatch_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """The type argument of AT_DISPATCH_* and of the project's macros around it."""
    for stream, index in code.names("switch"):  # switch (x.type())
        close = stream.close_of(index)
        method = type_call(stream, index + 2, close)
        if method and code.is_tensor(stream[close - 5]):
            yield stream.edit(method, method, "scalar_type")
    for stream, _, given, _ in code.calls("|".join([r"AT_DISPATCH_\w+", *sorted(scope.dispatchers)])):
        for start, end in given:
            if start < end and stream[start].text in ("{", "["):
                break  # the lambda: what is dispatched stands before it
            method = type_call(stream, start, end)
            # Shim(x.type()), where Shim is a struct of the project's, stood for both kinds of types
            shim = f"struct {stream[start].text}" in scope.own and stream.close_of(start) == end - 1
            inside = type_call(stream, start + 2, end - 1) if shim else 0
            if inside:
                yield stream.edit(start, start + 1, "")
                yield stream.edit(inside, end - 1, "scalar_type()")
            elif method:
                yield stream.edit(method, method, "scalar_type")
            elif end == start + 1 and is_type_variable(code, stream[start]):
                yield stream.behind(start, ".scalarType()")


def type_call(stream: Stream, start: int, end: int) -> int:
    """The index of the `type` of an argument between these indices that ends in `.type()`; 0 for another."""
    asked = end - start > 4 and stream.preceded(end, "type", "(", ")")
    return end - 3 if asked and stream[end - 4].text in (".", "->") else 0


def without_conversion(stream: Stream, end: int) -> int:
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
    return any(
        stream.follows(index, "=") and type_call(stream, index, without_conversion(stream, stream.ends[index]))
        for index in before
    )


def _typed(code: Code, names: str) -> Iterator[tuple[Stream, int, int, str]]:
    """Calls like `x.data<T>()`: (stream, index of the name, index of the ">", T), but for those of a storage."""
    for stream, index in code.names(names):
        close = stream.angles.get(index + 1, 0)
        if close > index + 2 and stream.follows(close, "(", ")") and not of_storage(stream, index):
            yield stream, index, close, " ".join(stream.words(index + 2, close - index - 2))


def rewrite_tensor_data(code: Code, scope: Scope) -> Iterable[Edit]:
    """`.data<T>()`; a `long` in it is what int64 tensors hold."""
    for stream, index, close, type in _typed(code, "data") if "template data" not in scope.own else ():
        if stream.words(index - 1, 1) in (["."], ["->"], ["template"]) and type not in _NO_SYMBOL:
            yield stream.edit(index, index, "data_ptr")
            if type in ("long", "long int"):
                yield stream.edit(index + 2, close - 1, "int64_t")


def of_storage(stream: Stream, index: int) -> bool:
    """Whether a member is asked of `x.storage()`."""
    return stream.preceded(index, "storage", "(", ")", ".")


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


def rewrite_private_case_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """AT_PRIVATE_CASE_TYPE(enum, type, …), with torch 1.10's name in front or without."""
    for stream, index, given, close in code.calls("AT_PRIVATE_CASE_TYPE"):
        values = [code.written(stream, *span) for span in given[-3:]]
        if len(given) in (3, 4) and all(values) and "AT_PRIVATE_CASE_TYPE" not in scope.own:
            enum, type, body = values
            yield stream.edit(index, close, f"case {enum}: {{ using scalar_t = {type}; return {body}(); }}")


def rewrite_packed_accessor(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names("|".join(_PACKED)):
        if stream[index].text not in scope.own and stream.follows(index, "<"):
            yield stream.edit(index, index, _PACKED[stream[index].text])


RULES = entries(__file__, rewrites(globals()))
