"""thrust and cub: functors, iterators and arguments that CUDA 13 has dropped."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments_of, template_arguments
from dcnbuild.port.rule import Scope, entries, rewrites

#: Base classes of functors → the types that they define from their template arguments.
_FUNCTOR_TYPES = {
    "unary_function": ("argument_type", "result_type"),
    "binary_function": ("first_argument_type", "second_argument_type", "result_type"),
}


def rewrite_thrust_functor_base(code: Code, scope: Scope) -> Iterable[Edit]:
    """`struct F : public thrust::unary_function<A, B> {`; the types that it defines where something asks for them."""
    for stream, index in code.names("|".join(_FUNCTOR_TYPES)):
        if index < 4 or not stream.preceded(index, "thrust", "::"):
            continue
        first = index - 2
        while first and stream[first - 1].text in ("::", "public", "private"):
            first -= 1
        close = stream.angles.get(index + 1, 0)
        if not close or not stream.preceded(first, ":") or not stream.follows(close, "{"):
            continue
        given = template_arguments(code.text, stream, index + 1)
        types = _FUNCTOR_TYPES[stream[index].text]
        if len(given) != len(types):
            continue
        asked = {stream[i].text for stream, i in code.names("|".join(types))}
        yield Edit(stream[first - 2].end, stream[close].end, "")
        defined = [f" using {t} = {g};" for t, g in zip(types, given, strict=True) if t in asked]
        if defined:
            yield stream.behind(close + 1, "".join(defined))


def rewrite_thrust_identity(code: Code, scope: Scope) -> Iterable[Edit]:
    """`thrust::identity<T>`."""
    for stream, index in code.names("identity"):
        close = stream.angles.get(index + 1, 0)
        if close and stream.preceded(index, "thrust", "::"):
            yield stream.edit(stream.qualified(index), close, "::cuda::std::identity")


#: Iterators of cub that CUDA 13 has dropped → thrust's, and the order of its template arguments.
_ITERATORS = {
    "CountingInputIterator": ("counting_iterator", (0,)),
    "ConstantInputIterator": ("constant_iterator", (0,)),
    "DiscardOutputIterator": ("discard_iterator", ()),
    "TransformInputIterator": ("transform_iterator", (1, 2, 0)),
}


def rewrite_cub_iterator(code: Code, scope: Scope) -> Iterable[Edit]:
    """`cub::TransformInputIterator<Value, Operation, Iterator>` and its like."""
    for stream, index in code.names("|".join(_ITERATORS)):
        close = stream.angles.get(index + 1, 0)
        name, order = _ITERATORS[stream[index].text]
        given = template_arguments(code.text, stream, index + 1)
        if close and stream.preceded(index, "cub", "::") and len(given) > max(order, default=-1):
            new = f"thrust::{name}<{', '.join(given[place] for place in order)}>"
            yield stream.edit(stream.qualified(index), close, new)


def rewrite_cub_debug_argument(code: Code, scope: Scope) -> Iterable[Edit]:
    """`cub::DeviceReduce::Sum(…, stream, true)`: whether to wait for every kernel."""
    for stream, index in code.names(r"Device[A-Z]\w+"):
        known = stream.preceded(index, "cub", "::") and stream.follows(index, "::")
        found = arguments_of(stream, index + 2, templates=True) if known else None
        if found is None or len(found[0]) < 4:
            continue
        start, end = found[0][-1]
        if end == start + 1 and stream[start].text in ("true", "false"):
            before = found[0][-2][1]
            yield stream.edit(before, start, "")


RULES = entries(__file__, rewrites(globals()))
