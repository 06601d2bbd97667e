"""Names of ATen from torch 0.4 to 1.4: toCFloat(), the context's stream, generators, operators by name."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments, follows
from dcnbuild.port.rule import Rule, Scope
from dcnbuild.port.rules.at_types import words_at
from dcnbuild.port.stream import Stream

#: `.toCFloat()` and its like → the type to ask item() for.
_ITEMS = {"toCFloat": "float", "toCDouble": "double", "toCInt": "int", "toCLong": "int64_t", "toCByte": "uint8_t"}


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
    for stream, index in code.names("getCurrentCUDAStream(?:OnDevice)?|getNumGPUs"):
        if words_at(stream, index - 4, 4) != ["globalContext", "(", ")", "."]:
            continue
        first = index - 4
        while first >= 2 and stream[first - 1].text == "::":
            first -= 2
        counted = stream[index].text == "getNumGPUs"
        new = "c10::cuda::device_count" if counted else "at::cuda::getCurrentCUDAStream"
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


def _item(old: str, type: str) -> Rule:
    return Rule(
        id="tensor-" + old[2:].lower().replace("c", "to-c-", 1),
        gone="torch 1.0",
        since="torch 1.0",
        pattern=f".{old}()",
        replacement=f".item<{type}>()",
        before=f"auto f(at::Tensor x) {{ return x.sum().{old}(); }}\n",
        after=f"auto f(at::Tensor x) {{ return x.sum().item<{type}>(); }}\n",
        untouched=(f"// x.{old}()\n",),
    )


def _linalg(code: Code, scope: Scope) -> Iterable[Edit]:
    """`torch::linalg::det(x)`; the namespace was one of functions of the same names and arguments."""
    for stream, index in code.names("linalg"):
        behind = words_at(stream, index - 2, 2) if index > 1 else []
        if behind in (["torch", "::"], ["at", "::"]) and words_at(stream, index + 1, 1) == ["::"]:
            yield Edit(stream[index].end, stream[index + 1].end, "_")


def _variable_ref(code: Code, scope: Scope) -> Iterable[Edit]:
    """`torch::autograd::as_variable_ref(x)`: every tensor is a Variable."""
    for stream, index in code.names("as_variable(?:_ref)?"):
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


RULES = (
    *(_item(old, type) for old, type in _ITEMS.items()),
    Rule(
        id="jit-register-operators",
        gone="torch 1.5",
        since="torch 1.4",
        pattern='torch::jit::RegisterOperators("a::f", &f)',
        replacement='torch::RegisterOperators("a::f", &f)',
        before='static auto r = torch::jit::RegisterOperators("a::f", &f).op("a::g", &g);\n'
        'auto s = torch::jit::RegisterOperators().op("a::h", &h);\n',
        after='static auto r = torch::RegisterOperators("a::f", &f).op("a::g", &g);\n'
        'auto s = torch::RegisterOperators().op("a::h", &h);\n',
        untouched=(
            "torch::jit::RegisterOperators r({Operator(schema, f)});\n",
            'auto r = torch::RegisterOperators("a::f", &f);\n',
        ),
        rewrite=_register,
    ),
    Rule(
        id="dispatch-name",
        gone="torch 1.13",
        since="torch 1.0",
        pattern="AT_DISPATCH_…(type, name, [&] …)",
        replacement='AT_DISPATCH_…(type, "name", [&] …)',
        before="void f(at::Tensor x) { AT_DISPATCH_ALL_TYPES(x.scalar_type(), scale_rows, [&] { g(); }); }\n",
        after='void f(at::Tensor x) { AT_DISPATCH_ALL_TYPES(x.scalar_type(), "scale_rows", [&] { g(); }); }\n',
        untouched=(
            "void f(at::Tensor x, const char* name) { AT_DISPATCH_ALL_TYPES(x.scalar_type(), name, [&] { g(); }); }\n",
            "void f(at::Tensor x) { AT_DISPATCH_ALL_TYPES(x.scalar_type(), __func__, [&] { g(); }); }\n",
            "#define AT_DISPATCH_MINE(T, N, ...) f(T, N, __VA_ARGS__)\n"
            "void f(at::Tensor x) { AT_DISPATCH_MINE(x.scalar_type(), has_value, [&] { g(); }); }\n",
            "#define DISPATCH(T, N, ...) AT_DISPATCH_ALL_TYPES(T, N, [&] { __VA_ARGS__(); })\n",
        ),
        why="The macros made a text of whatever stood there; now it has to be one.",
        rewrite=_dispatch_name,
    ),
    Rule(
        id="device-guard-argument",
        gone="torch 1.0",
        since="torch 1.0",
        pattern="at::DeviceGuard guard(x.get_device()), at::DeviceGuard guard(x)",
        replacement="at::DeviceGuard guard(x.device())",
        before="void f(at::Tensor x) {\n  at::DeviceGuard guard(x.get_device());\n}\n",
        after="void f(at::Tensor x) {\n  at::DeviceGuard guard(x.device());\n}\n",
        untouched=(
            "void f(at::Tensor x) {\n  at::DeviceGuard guard(x.device());\n}\n",
            "void f(at::Tensor x) {\n  at::cuda::CUDAGuard guard(x.get_device());\n}\n",
            "void f(Tensor x) {\n  torch::stable::accelerator::DeviceGuard guard(x.get_device());\n}\n",
        ),
        rewrite=_device_guards,
    ),
    Rule(
        id="default-generator",
        gone="torch 1.6, whose generators are values",
        since="torch 1.7",
        pattern="auto gen = at::cuda::detail::getDefaultCUDAGenerator(); gen->…",
        replacement="auto gen = at::get_generator_or_default<at::CUDAGeneratorImpl>(std::nullopt, …); gen->…",
        before="auto f() {\n  auto gen = at::cuda::detail::getDefaultCUDAGenerator();\n"
        "  return gen->philox_engine_inputs(4);\n}\n",
        after="auto f() {\n  auto gen = at::get_generator_or_default<at::CUDAGeneratorImpl>("
        "std::nullopt, at::cuda::detail::getDefaultCUDAGenerator());\n"
        "  return gen->philox_engine_inputs(4);\n}\n",
        untouched=(
            "auto f() {\n  auto gen = at::cuda::detail::getDefaultCUDAGenerator();\n  return gen.mutex();\n}\n",
        ),
        rewrite=_generator,
        emits="CUDAGeneratorImpl",
    ),
    Rule(
        id="is-variable",
        gone="torch 1.7",
        since="torch 1.5",
        pattern=".is_variable()",
        replacement=".defined()",
        before="bool f(at::Tensor x) { return x.is_variable(); }\n",
        after="bool f(at::Tensor x) { return x.defined(); }\n",
        untouched=("bool f(at::Tensor x) { return is_variable(); }\n",),
        why="Every tensor is a Variable since torch 1.5.",
    ),
    Rule(
        id="context-stream",
        gone="torch 1.0",
        since="torch 1.0",
        pattern="at::globalContext().getCurrentCUDAStream(), at::globalContext().getNumGPUs()",
        replacement="at::cuda::getCurrentCUDAStream(), c10::cuda::device_count()",
        before="cudaStream_t f() { return at::globalContext().getCurrentCUDAStream(); }\n"
        "cudaStream_t g(int i) { return at::globalContext().getCurrentCUDAStreamOnDevice(i); }\n",
        after="cudaStream_t f() { return at::cuda::getCurrentCUDAStream(); }\n"
        "cudaStream_t g(int i) { return at::cuda::getCurrentCUDAStream(i); }\n",
        untouched=("cudaStream_t f() { return mine().getCurrentCUDAStream(); }\n",),
        rewrite=_context_stream,
        emits="getCurrentCUDAStream|device_count",
    ),
    Rule(
        id="detail-scalar-type",
        gone="torch 2.6",
        since="torch 1.3",
        pattern="::detail::scalar_type(type)",
        replacement="ported_scalar_type(type)",
        before="#define SWITCH(TYPE) switch (::detail::scalar_type(TYPE))\n"
        "void f(at::Tensor x) { SWITCH(x.type()) { default: g(); } }\n",
        after="#define SWITCH(TYPE) switch (ported_scalar_type(TYPE))\n"
        "void f(at::Tensor x) { SWITCH(x.type()) { default: g(); } }\n",
        untouched=("auto f(at::Tensor x) { return x.scalar_type(); }\n",),
        why="Macros that were copied from torch's AT_DISPATCH_* call it, and are given x.type() and"
        " x.scalar_type() alike.",
        rewrite=_scalar_type,
        helper="ported_scalar_type",
    ),
    Rule(
        id="dispatch-all-and-half",
        gone="torch 1.2",
        since="torch 1.2",
        pattern="AT_DISPATCH_ALL_TYPES_AND_HALF($$arguments)",
        replacement="AT_DISPATCH_ALL_TYPES_AND(at::kHalf, $$arguments)",
        before='void f(at::Tensor x) { AT_DISPATCH_ALL_TYPES_AND_HALF(x.scalar_type(), "f", [&] { g(); }); }\n',
        after='void f(at::Tensor x) { AT_DISPATCH_ALL_TYPES_AND(at::kHalf, x.scalar_type(), "f", [&] { g(); }); }\n',
        untouched=("// AT_DISPATCH_ALL_TYPES_AND_HALF(x, n, f)\n",),
        emits="AT_DISPATCH_ALL_TYPES_AND",
    ),
    Rule(
        id="linalg-namespace",
        gone="torch 2.6",
        since="torch 1.9",
        pattern="torch::linalg::det(x)",
        replacement="torch::linalg_det(x)",
        before="auto f(at::Tensor x) { return torch::linalg::det(x); }\n",
        after="auto f(at::Tensor x) { return torch::linalg_det(x); }\n",
        untouched=("auto f(Mine x) { return mine::linalg::det(x); }\n",),
        rewrite=_linalg,
    ),
    Rule(
        id="variable-ref",
        gone="torch 1.5",
        pattern="torch::autograd::as_variable_ref(x), torch::autograd::as_variable(x)",
        replacement="(x)",
        before="auto f(at::Tensor x) { return torch::autograd::as_variable_ref(x).data(); }\n"
        "auto g(at::Tensor x) { return torch::autograd::as_variable(x); }\n",
        after="auto f(at::Tensor x) { return (x).data(); }\nauto g(at::Tensor x) { return (x); }\n",
        untouched=("auto f(Mine x) { return x.as_variable_ref(1); }\n",),
        rewrite=_variable_ref,
    ),
)
