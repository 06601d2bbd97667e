"""Names of ATen from torch 0.4 to 1.4: toCFloat(), the context's stream, generators, operators by name."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments, follows
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.rules.at_types import words_at
from dcnbuild.port.stream import Stream


def _register(code: Code, scope: Scope) -> Iterable[Edit]:
    """`torch::jit::RegisterOperators("name", &f)`, and its `.op(…)`; with Operator objects it is still there."""
    for stream, index in code.names("RegisterOperators"):
        opening = index + 2 if follows(stream, index + 1, "(") else index + 1
        named = words_at(stream, opening, 1) == ["("] and words_at(stream, opening + 1, 1)
        behind = words_at(stream, index - 2, 2) == ["jit", "::"]
        chained = follows(stream, index, "(", ")", ".", "op")
        if behind and (chained or named and named[0].startswith('"')):
            yield Edit(stream[index - 2].start, stream[index].start, "")


def _device_guards(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::DeviceGuard guard(x.get_device());`, and of a tensor itself."""
    for stream, index in code.names("DeviceGuard"):
        scope_of = words_at(stream, index - 2, 1) if words_at(stream, index - 1, 1) == ["::"] else ["at"]
        known = scope_of[0] in ("at", "c10", "torch")  # torch::stable::accelerator's takes a number
        if not known or not follows(stream, index + 1, "(") or stream[index + 1].kind != "name":
            continue
        close = max(stream.partner[index + 2], index + 3)
        inside = words_at(stream, index + 3, close - index - 3)
        if inside[-4:] in ([".", "get_device", "(", ")"], ["->", "get_device", "(", ")"]):
            yield Edit(stream[close - 3].start, stream[close - 1].end, "device()")
        elif len(inside) == 1 and code.is_tensor(stream[index + 3]):
            yield Edit(stream[close].start, stream[close].start, ".device()")


def _generator(code: Code, scope: Scope) -> Iterable[Edit]:
    """`auto gen = at::cuda::detail::getDefaultCUDAGenerator();` where `gen->` follows."""
    stream = code.live
    for index in stream.places.get("getDefaultCUDAGenerator", ()):
        close = stream.partner[index + 1] if follows(stream, index, "(") else -1
        first = index
        while first > 2 and stream[first - 1].text == "::":
            first -= 2
        if first < 3 or close < 0 or not follows(stream, close, ";") or stream[first - 1].text != "=":
            continue
        uses = stream.places.get(stream[first - 2].text, ())
        if any(i > close and follows(stream, i, "->") for i in uses):
            made = code.text[stream[first].start : stream[close].end]
            new = f"at::get_generator_or_default<at::CUDAGeneratorImpl>(std::nullopt, {made})"
            type = stream[first - 3]
            if type.kind == "name" and type.text != "auto":
                yield Edit(type.start, type.end, "auto")
            yield Edit(stream[first].start, stream[close].end, new)


def _context_stream(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::globalContext().getCurrentCUDAStream()`."""
    for stream, index in code.names("getCurrentCUDAStream|getNumGPUs"):
        if words_at(stream, index - 4, 4) != ["globalContext", "(", ")", "."]:
            continue
        first = index - 4
        while first >= 2 and stream[first - 1].text == "::":
            first -= 2
        stream_wanted = stream[index].text == "getCurrentCUDAStream"
        new = "at::cuda::getCurrentCUDAStream" if stream_wanted else "c10::cuda::device_count"
        yield Edit(stream[first].start, stream[index].end, new)


def _scalar_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """`::detail::scalar_type(type)`, which macros copied from torch's own call."""
    for stream, index in code.names("scalar_type"):
        qualified = words_at(stream, index - 2, 2) == ["detail", "::"]
        if index < 2 or not qualified or words_at(stream, index + 1, 1) != ["("]:
            continue
        first = index - 2
        while first and stream[first - 1].text in ("::", "at", "torch", "c10"):
            first -= 1
        yield Edit(stream[first].start, stream[index].end, "ported_scalar_type")


def _linalg(code: Code, scope: Scope) -> Iterable[Edit]:
    """`torch::linalg::det(x)`; the namespace was one of functions of the same names and arguments."""
    for stream, index in code.names("linalg"):
        behind = words_at(stream, index - 2, 2) if index > 1 else []
        if behind in (["torch", "::"], ["at", "::"]) and words_at(stream, index + 1, 1) == ["::"]:
            yield Edit(stream[index].end, stream[index + 1].end, "_")


def _variable_ref(code: Code, scope: Scope) -> Iterable[Edit]:
    """`torch::autograd::as_variable_ref(x)`: every tensor is a Variable."""
    for stream, index in code.names("as_variable_ref"):
        first = index
        while first > 1 and stream[first - 1].text == "::":
            first -= 2
        if follows(stream, index, "(") and words_at(stream, first - 1, 1) not in (["."], ["->"]):
            yield Edit(stream[first].start, stream[index].end, "")


#: What stands before the name of a variable that holds a text.
_DECLARES = frozenset({"*", "&", "auto", "string", "string_view", "char"})


def _dispatch_name(code: Code, scope: Scope) -> Iterable[Edit]:
    """`AT_DISPATCH_ALL_TYPES(type, name_of_kernel, …)`, which made a text of the name itself."""
    bare: dict[str, bool] = {}
    for stream, index in code.names(r"AT_DISPATCH_\w+"):
        ours = stream is code.live and stream[index].text not in scope.own
        found = arguments(stream, index + 2) if ours and follows(stream, index, "(") else None
        for start, end in found[0][1:] if found else ():
            if stream[start].text in ("[", "{"):
                break
            name = stream[start]
            before = words_at(stream, end, 2)
            if end > start + 1 or name.kind != "name" or before not in ([",", "["], [",", "("]):
                continue
            if name.text not in bare:
                bare[name.text] = _is_bare(stream, name.text, scope)
            if bare[name.text]:
                yield Edit(name.start, name.end, f'"{name.text}"')


def _is_bare(stream: Stream, name: str, scope: Scope) -> bool:
    """Whether a name is no macro, and no variable that the text declares."""
    places = stream.places[name]
    held = any(place and stream[place - 1].text in _DECLARES for place in places)
    called = any(follows(stream, place, "(") for place in places)
    return not (held or name.isupper() or name.startswith("_")) and (called or name not in scope.own)


RULES = entries(
    __file__,
    {
        "jit-register-operators": _register,
        "dispatch-name": _dispatch_name,
        "device-guard-argument": _device_guards,
        "default-generator": _generator,
        "context-stream": _context_stream,
        "detail-scalar-type": _scalar_type,
        "linalg-namespace": _linalg,
        "variable-ref": _variable_ref,
    },
)
