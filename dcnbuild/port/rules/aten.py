"""Names of ATen from torch 0.4 to 1.4, and values that became another type by themselves until torch 1.0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, partial

from dcnbuild import knowledge
from dcnbuild.base.plain_yaml import beside
from dcnbuild.port import includes
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.spans import receiver
from dcnbuild.port.stream import Stream

#: What ATen had other forms of, and what they are today.
_NAMES = beside(__file__, "aten_names.yaml")
_VECTORS = (["vector", "<", "int64_t", ">"], ["vector", "<", "long", ">"])


def rewrite_device_guard_argument(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::DeviceGuard guard(x.get_device());`, and of a tensor itself."""
    for stream, index in code.names("DeviceGuard"):
        scope_of = stream.words(index - 2, 1) if stream.preceded(index, "::") else ["at"]
        known = scope_of[0] in ("at", "c10", "torch")  # torch::stable::accelerator's takes a number
        if not known or not stream.follows(index + 1, "(") or stream[index + 1].kind != "name":
            continue
        close = max(stream.partner[index + 2], index + 3)
        if any(stream.preceded(close, sign, "get_device", "(", ")") for sign in (".", "->")):
            yield stream.edit(close - 3, close - 1, "device()")
        elif close == index + 4 and code.is_tensor(stream[index + 3]):
            yield stream.before(close, ".device()")


def rewrite_default_generator(code: Code, scope: Scope) -> Iterable[Edit]:
    """`auto gen = at::cuda::detail::getDefaultCUDAGenerator();` where `gen->` follows."""
    stream = code.live
    for index in stream.places.get("getDefaultCUDAGenerator", ()):
        close = stream.close_of(index)
        first = stream.qualified(index)
        if first < 3 or close < 0 or not stream.follows(close, ";") or stream[first - 1].text != "=":
            continue
        uses = stream.places.get(stream[first - 2].text, ())
        if any(i > close and stream.follows(i, "->") for i in uses):
            if stream[first - 3].kind == "name" and stream[first - 3].text != "auto":
                yield stream.edit(first - 3, first - 3, "auto")
            made = code.written(stream, first, close + 1)
            new = f"at::get_generator_or_default<at::CUDAGeneratorImpl>(std::nullopt, {made})"
            yield stream.edit(first, close, new)


def rewrite_dispatch_name(code: Code, scope: Scope) -> Iterable[Edit]:
    """`AT_DISPATCH_ALL_TYPES(type, name_of_kernel, …)`, which made a text of the name itself."""
    is_bare = cache(partial(_is_bare, code.live, scope))
    for stream, index, given, _ in code.calls(r"AT_DISPATCH_\w+"):
        ours = stream is code.live and stream[index].text not in scope.own
        for start, end in given[1:] if ours else ():
            if stream[start].text in ("[", "{"):
                break
            name = stream[start].text
            alone = end == start + 1 and stream[start].kind == "name"
            if alone and stream.words(end, 2) in ([",", "["], [",", "("]) and is_bare(name):
                yield stream.edit(start, start, f'"{name}"')


def _is_bare(stream: Stream, scope: Scope, name: str) -> bool:
    """Whether a name is no macro, and no variable that the text declares."""
    places = stream.places[name]
    held = any(place and stream[place - 1].text in _NAMES["declares"] for place in places)
    called = any(stream.follows(place, "(") for place in places)
    return not (held or name.isupper() or name.startswith("_")) and (called or name not in scope.own)


def rewrite_scalar_to_tensor(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::Scalar(2).toTensor()`, `x.item().toTensor()`, and that of a variable or parameter of type Scalar."""
    for stream, index in code.names("toTensor"):
        if index < 2 or not stream.preceded(index, ".") or not stream.follows(index, "(", ")"):
            continue
        made = stream[index - 2].text == ")" and stream[stream.partner[index - 2] - 1].text in ("Scalar", "item")
        first = receiver(stream, index - 1)
        if first is not None and (made or _is_declared(code, stream, index - 2, "Scalar")):
            yield stream.before(first, "c10::scalar_to_tensor(")
            yield stream.edit(index - 1, index + 2, ")")


def _asked(code: Code, scope: Scope, number: int, member: str) -> Iterable[Edit]:
    """What took a tensor at a place, and takes what a member of it gives."""
    for stream, _, given, _ in code.calls(_NAMES["took_tensor"][member]):
        span = given[number] if len(given) == number + 1 else (0, 0)
        if expressions(code, {}).kind(stream, *span) == "tensor":
            yield stream.behind(span[1] - 1, member)


rewrite_tensor_to_scalar = partial(_asked, number=0, member=".item()")
rewrite_tensor_to_options = partial(_asked, number=0, member=".options()")
rewrite_softmax_backward = partial(_asked, number=3, member=".scalar_type()")


def rewrite_one_index(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.index(i)` and `at::index(x, i)`: one tensor was a list of them."""
    for stream, index, given, _ in code.calls("index"):
        first = receiver(stream, index - 1) if stream.preceded(index, ".") else None
        asked = [(first, index - 1)] if first is not None else []
        spans = asked + given if asked or stream.preceded(index, "at", "::") else []
        if len(spans) == 2 and all(expressions(code, {}).kind(stream, *span) == "tensor" for span in spans):
            yield stream.before(spans[1][0], "{")
            yield stream.behind(spans[1][1] - 1, "}")


def _type_ends(code: Code, stream: Stream, name: int) -> Iterator[int]:
    """Where a type would end that declares the name at an index, there or before it in the same function."""
    function = code.function_at(stream[name].start)
    for place in stream.places.get(stream[name].text, ()) if function else ():
        if function and function.start <= stream[place].start <= stream[name].start:
            yield place - (stream[place - 1].text == "&")


def _is_declared(code: Code, stream: Stream, name: int, *types: str) -> bool:
    """Whether the name at an index is declared with one of these types."""
    return any(stream.words(end - 1, 1) == [type] for end in _type_ends(code, stream, name) for type in types)


def _ends_vector(stream: Stream, *indices: int) -> bool:
    """Whether the type of a vector of sizes stands before any of some indices."""
    return any(stream.words(index - 4, 4) in _VECTORS for index in indices)


def _returns_vector(code: Code, stream: Stream, index: int) -> bool:
    """Whether the function around an index returns a vector of sizes, and no lambda stands between."""
    function = code.function_at(stream[index].start)
    if function is None:
        return False
    first, last = stream.at(function.start), stream.at(function.body[0])
    typed = _ends_vector(stream, *(i + 4 for i in range(first, last) if stream.around[i] == stream.around[first]))
    brackets = (i for i in range(last, index) if stream[i].text == "[" and stream.partner[i] > 0)
    return typed and not any(stream[stream.partner[i] + 1].text in ("(", "{") for i in brackets)


def rewrite_sizes_to_vector(code: Code, scope: Scope) -> Iterable[Edit]:
    """`std::vector<int64_t> v = x.sizes();`, an assignment or a return of it, and `std::vector<int64_t>(x.sizes())`.

    Also `v = sizes;`, where `sizes` is an at::IntList that the function takes or declares.
    """
    for stream, index in code.names("sizes|strides"):
        first = index - 1
        while first > 0 and stream[first].text not in (";", "{", "}", "=", "(", "?", ":", "return"):
            first = (stream.partner[first] if stream[first].text in (")", "]") else first) - 1
        if first < 1 or not stream.follows(index, "(", ")"):
            continue
        set_here = _type_ends(code, stream, first - 1) if stream[first].text == "=" else ()
        vector = first > 3 and _ends_vector(stream, first - 1 - (stream[first - 2].text == "&"), first, *set_here)
        if stream[first].text == "return":
            vector = _returns_vector(code, stream, index)
        if vector and stream.follows(index + 2, ")" if stream[first].text == "(" else ";"):
            yield stream.behind(index + 2, ".vec()")
    declared = [(s, i + 1 + s.follows(i, "&")) for s, i in code.names("IntList|IntArrayRef")]
    lists = {stream[index].text for stream, index in declared if index < len(stream) and stream[index].kind == "name"}
    stream = code.live
    for use in (use for name in lists for use in stream.places.get(name, ())):
        assigned = use > 1 and stream[use - 1].text == "=" and stream.follows(use, ";")
        vector = assigned and _ends_vector(stream, *_type_ends(code, stream, use - 2))
        if vector and _is_declared(code, stream, use, "IntList", "IntArrayRef"):
            yield stream.behind(use, ".vec()")


def rewrite_forward_alias(code: Code, scope: Scope) -> Iterable[Edit]:
    """`template <typename T> class optional;` in namespace at, which has std's under that name."""
    stream = code.live
    for index in (*stream.places.get("class", ()), *stream.places.get("struct", ())):
        around = stream.around[index]
        if not stream.preceded(index, ">") or not stream.follows(index + 1, ";") or around < 2:
            continue
        if stream[around - 2].text != "namespace" or stream[around - 1].text not in ("at", "c10", "torch"):
            continue
        name, first = stream[index + 1].text, stream.openings.get(index - 1, 0) - 1
        entries = knowledge.torch_cpp.find(f"c10::{name}")
        if stream[first].text == "template" and any(e.replacement == f"std::{name}" for e in entries):
            yield stream.edit(first, index + 1, f"using std::{name}")
            if not includes.has(code, name, stream[first].start, frozenset()):
                yield includes.add(code, name, stream[first].start)


def rewrite_vec_lambda(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::vec::map2([](Vec& x, Vec& y) { … }, …)`: the lambda has to take values."""
    for stream, index in code.names(r"(?:vec_)?(?:map|reduce)\w*"):
        opening = stream.angles.get(index + 1, index) + 1
        called = stream.preceded(index, "vec", "::") and stream.follows(opening - 1, "(", "[")
        first = stream.partner[opening + 1] + 1 if called else 0
        if not first or stream[first].text != "(":
            continue
        for place in range(first + 1, stream.partner[first]):
            declared = stream[place].text == "&" and stream[place + 2].text in (",", ")")
            if declared and stream[place - 2].text != "const" and stream[place + 1].kind == "name":
                yield stream.edit(place, place, "")


def rewrite_jit_load(code: Code, scope: Scope) -> Iterable[Edit]:
    """`std::shared_ptr<torch::jit::script::Module> m = torch::jit::load(…);`, or any `m` that is asked by `m->`."""
    pointers: dict[str, bool] = {}
    for stream, index in code.names("load"):
        close, first = stream.close_of(index), stream.qualified(index)
        called = close >= 0 and stream.preceded(index, "torch", "::", "jit", "::")
        if first < 2 or not called or stream[first - 1].text != "=" or stream[first - 2].kind != "name":
            continue
        name = stream[first - 2].text
        if name not in pointers:  # whether it is declared as a shared_ptr to a Module, or asked as one
            closed = (i for i in stream.places[name] if stream[i - 2].text == "Module")
            shared = any(stream.preceded(stream.openings.get(i - 1, 0), "shared_ptr") for i in closed)
            pointers[name] = shared or any(stream.follows(i, "->") for i in stream.places[name])
        if pointers[name]:
            yield stream.before(first, "std::make_shared<torch::jit::Module>(")
            yield stream.behind(close, ")")


RULES = entries(__file__, globals())
