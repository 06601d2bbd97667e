"""Names of ATen from torch 0.4 to 1.4: toCFloat(), the context's stream, generators, operators by name."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Scope, entries, rewrites
from dcnbuild.port.stream import Stream

#: What ATen had other forms of, and what they are today.
_NAMES = beside(__file__, "aten_names.yaml")


def rewrite_jit_register_operators(code: Code, scope: Scope) -> Iterable[Edit]:
    """`torch::jit::RegisterOperators("name", &f)`, and its `.op(…)`; with Operator objects it is still there."""
    for stream, index in code.names("RegisterOperators"):
        opening = index + 2 if stream.follows(index + 1, "(") else index + 1
        named = stream.follows(opening - 1, "(") and stream.words(opening + 1, 1)
        chained = stream.follows(index, "(", ")", ".", "op")
        if stream.preceded(index, "jit", "::") and (chained or named and named[0].startswith('"')):
            yield Edit(stream[index - 2].start, stream[index].start, "")


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
            yield stream.edit(
                first, close, f"at::get_generator_or_default<at::CUDAGeneratorImpl>(std::nullopt, {made})"
            )


def rewrite_no_generator(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.uniform_(0, 1, nullptr)`: a generator was a pointer."""
    for stream, index, given, _ in code.calls("|".join(_NAMES["random"])):
        ours = stream.preceded(index, ".") or stream.preceded(index, "::")
        for start, end in given if ours else ():
            if end == start + 1 and stream[start].text in ("nullptr", "NULL"):
                yield stream.edit(start, start, "std::nullopt")


def rewrite_context_stream(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::globalContext().getCurrentCUDAStream()`."""
    for stream, index in code.names("|".join(_NAMES["context"])):
        if stream.preceded(index, "globalContext", "(", ")", "."):
            yield stream.edit(stream.qualified(index - 4), index, _NAMES["context"][stream[index].text])


def rewrite_detail_scalar_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """`::detail::scalar_type(type)`, which macros copied from torch's own call."""
    for stream, index in code.names("scalar_type"):
        first = stream.qualified(index)
        ours = set(stream.words(first, index - first)) <= {"::", "detail", "at", "torch", "c10"}
        if ours and stream.preceded(index, "detail", "::") and stream.follows(index, "("):
            yield stream.edit(first, index, "ported_scalar_type")


def rewrite_linalg_namespace(code: Code, scope: Scope) -> Iterable[Edit]:
    """`torch::linalg::det(x)`; the namespace was one of functions of the same names and arguments."""
    for stream, index in code.names("linalg"):
        behind = any(stream.preceded(index, space, "::") for space in ("torch", "at"))
        if behind and stream.follows(index, "::"):
            yield Edit(stream[index].end, stream[index + 1].end, "_")


def rewrite_variable_ref(code: Code, scope: Scope) -> Iterable[Edit]:
    """`torch::autograd::as_variable_ref(x)`: every tensor is a Variable."""
    for stream, index in code.names("as_variable(?:_ref)?"):
        first = stream.qualified(index)
        if stream.follows(index, "(") and not any(stream.preceded(first, sign) for sign in (".", "->")):
            yield stream.edit(first, index, "")


def rewrite_dispatch_name(code: Code, scope: Scope) -> Iterable[Edit]:
    """`AT_DISPATCH_ALL_TYPES(type, name_of_kernel, …)`, which made a text of the name itself."""
    bare: dict[str, bool] = {}
    for stream, index, given, _ in code.calls(r"AT_DISPATCH_\w+"):
        ours = stream is code.live and stream[index].text not in scope.own
        for start, end in given[1:] if ours else ():
            if stream[start].text in ("[", "{"):
                break
            name = stream[start].text
            alone = end == start + 1 and stream[start].kind == "name"
            if alone and stream.words(end, 2) in ([",", "["], [",", "("]):
                if name not in bare:
                    bare[name] = _is_bare(stream, name, scope)
                if bare[name]:
                    yield stream.edit(start, start, f'"{name}"')


def _is_bare(stream: Stream, name: str, scope: Scope) -> bool:
    """Whether a name is no macro, and no variable that the text declares."""
    places = stream.places[name]
    held = any(place and stream[place - 1].text in _NAMES["declares"] for place in places)
    called = any(stream.follows(place, "(") for place in places)
    return not (held or name.isupper() or name.startswith("_")) and (called or name not in scope.own)


RULES = entries(__file__, rewrites(globals()))
