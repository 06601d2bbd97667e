"""Names of ATen from torch 0.4 and 1.0: at::Type, its factories, toCFloat(), the context's stream."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments, follows
from dcnbuild.port.rule import Rule, Scope
from dcnbuild.port.rules.tensors import is_type_variable
from dcnbuild.port.stream import Stream
from dcnbuild.port.tokens import Token

_READ = "deprecated in torch 1.3, not in torch 2.14.1"
#: `.toCFloat()` and its like → the type to ask item() for.
_ITEMS = {
    "toCFloat": "float",
    "toCDouble": "double",
    "toCInt": "int",
    "toCLong": "int64_t",
    "toCByte": "uint8_t",
}
#: Factories of at::Type → the method of a tensor, and the function, of the same meaning.
#: What at:: had with a type in front of the sizes, until torch 1.0.
_TYPE_FIRST = (
    *("zeros", "ones", "empty", "rand", "randn", "full", "arange", "linspace", "eye", "randperm"),
    *("randint", "range", "logspace", "zeros_like", "ones_like", "tensor", "from_blob"),
)
_SPACES = ("at", "torch")
_FACTORIES = {"tensor": "empty", "zeros": "zeros", "ones": "ones"}


def _words(stream: Stream, start: int, count: int) -> list[str]:
    return [token.text for token in stream[max(start, 0) : start + count]]


def _type_name(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::Type` as the type of a variable, a member or a parameter."""
    for stream, index in code.names("Type"):
        qualified = _words(stream, index - 2, 2) in (["at", "::"], ["torch", "::"])
        further = _words(stream, index + 1, 1) == ["::"] or _words(stream, index - 3, 1) == ["::"]
        if index >= 2 and qualified and not further:
            yield Edit(stream[index].start, stream[index].end, "DeprecatedTypeProperties")


def _type_factories(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.type().tensor({n})`, and the same of at::CUDA(at::kFloat) and at::CPU(at::kFloat)."""
    for stream, index in code.names("|".join(_FACTORIES)):
        name = stream[index]
        if _words(stream, index + 1, 1) != ["("] or _words(stream, index - 1, 1) != ["."]:
            continue
        found = arguments(stream, index + 2)
        if found is None or len(found[0]) > 1:
            continue
        sizes = "" if found[0] else "{0}"
        close = stream[found[1]]
        if index >= 5 and _words(stream, index - 4, 3) == ["type", "(", ")"]:
            if stream[index - 5].text in (".", "->"):
                new = f"new_{_FACTORIES[name.text]}"
                yield Edit(stream[index - 4].start, name.end, new)
                yield Edit(close.start, close.start, sizes)
            continue
        opening = _backend(stream, index - 2)
        if opening is not None:
            start = stream[opening - 1]
            inside = code.text[stream[opening].end : stream[index - 2].start]
            device = "at::kCUDA" if start.text == "CUDA" else "at::kCPU"
            given = code.text[stream[index + 1].end : close.start] + sizes
            first = opening - 3 if _words(stream, opening - 2, 1) == ["::"] else opening - 1
            options = f"at::device({device}).dtype({inside})"
            new = f"at::{_FACTORIES[name.text]}({given}, {options})"
            yield Edit(stream[first].start, close.end, new)


def _type_first(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::zeros(type, sizes)`: the type of a tensor, of at::CUDA(…) or of a variable stands first."""
    for stream, index in code.names("|".join(_TYPE_FIRST)):
        if _words(stream, index - 1, 1) != ["::"] or not follows(stream, index, "("):
            continue
        found = arguments(stream, index + 2)
        if found is None or len(found[0]) < 2 or _words(stream, index - 2, 1)[0] not in _SPACES:
            continue
        (start, end), rest = found[0][0], found[0][1:]
        type = code.text[stream[start].start : stream[end - 1].end]
        opening = _backend(stream, end - 1)
        if opening is not None:
            device = "at::kCUDA" if stream[opening - 1].text == "CUDA" else "at::kCPU"
            inside = code.text[stream[opening].end : stream[end - 1].start]
            options = f"at::device({device}).dtype({inside})"
        elif (tensor := _end_of_tensor(stream, start, end)) is not None:
            options = code.text[stream[start].start : stream[tensor].start] + "options()"
            converted = stream.partner[end - 1] if tensor < end - 3 else -1
            if converted > 0:
                inside = code.text[stream[converted].end : stream[end - 1].start]
                options += f".dtype({inside})"
        elif end == start + 1 and is_type_variable(code, stream[start]):
            options = f"{type}.options()"
        else:
            continue
        last = stream[found[1]]
        yield Edit(stream[start].start, stream[rest[0][0]].start, "")
        yield Edit(last.start, last.start, f", {options}")


def _end_of_tensor(stream: Stream, start: int, end: int) -> int | None:
    """The `type` of an argument that is `x.type()` or `x.type().toScalarType(…)`."""
    opening = stream.partner[end - 1] if end - start > 4 else -1
    if opening > start + 4 and _words(stream, opening - 2, 2) == [".", "toScalarType"]:
        end = opening - 2
    found = end - 3
    there = found > start + 1 and _words(stream, found, 3) == ["type", "(", ")"]
    return found if there and stream[found - 1].text in (".", "->") else None


def _backend(stream: Stream, close: int) -> int | None:
    """The "(" of `CUDA(type)` or `CPU(type)` that ends at this ")"."""
    opening = stream.partner[close] if close > 0 else -1
    return opening if opening > 0 and stream[opening - 1].text in ("CUDA", "CPU") else None


def _to_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.toType(at::CUDA(at::kInt))`."""
    for stream, index in code.names("toType"):
        close = stream.partner[index + 1] if follows(stream, index, "(") else -1
        opening = _backend(stream, close - 1) if close > 0 else None
        if opening is not None and opening - index < 6:
            device = "at::kCUDA" if stream[opening - 1].text == "CUDA" else "at::kCPU"
            inside = code.text[stream[opening].end : stream[close - 1].start]
            new = f"to(at::device({device}).dtype({inside}))"
            yield Edit(stream[index].start, stream[close].end, new)


def _register(code: Code, scope: Scope) -> Iterable[Edit]:
    """`torch::jit::RegisterOperators("name", &f)`; with Operator objects it is still there."""
    for stream, index in code.names("RegisterOperators"):
        opening = index + 2 if follows(stream, index + 1, "(") else index + 1
        first = stream[opening + 1].kind if opening + 1 < len(stream) else ""
        if (
            stream[opening].text == "("
            and first == "string"
            and _words(stream, index - 2, 2) == ["jit", "::"]
        ):
            yield Edit(stream[index - 2].start, stream[index].start, "")


def _device_guards(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::DeviceGuard guard(x.get_device());`, and of a tensor itself."""
    for stream, index in code.names("DeviceGuard"):
        if not follows(stream, index + 1, "(") or stream[index + 1].kind != "name":
            continue
        close = stream.partner[index + 2]
        inside = _words(stream, index + 3, close - index - 3)
        if inside[-4:] in ([".", "get_device", "(", ")"], ["->", "get_device", "(", ")"]):
            yield Edit(stream[close - 3].start, stream[close - 1].end, "device()")
        elif len(inside) == 1 and _is_tensor(code, stream[index + 3]):
            yield Edit(stream[close].start, stream[close].start, ".device()")


def _is_tensor(code: Code, name: Token) -> bool:
    function = code.function_at(name.start)
    return function is not None and any(
        p.is_tensor and p.name == name.text for p in function.parameters
    )


def _generator(code: Code, scope: Scope) -> Iterable[Edit]:
    """`auto gen = at::cuda::detail::getDefaultCUDAGenerator();` where `gen->` follows."""
    stream = code.live
    for index in stream.places.get("getDefaultCUDAGenerator", ()):
        close = stream.partner[index + 1] if follows(stream, index, "(") else -1
        first = index
        while first > 2 and stream[first - 1].text == "::":
            first -= 2
        if close < 0 or not follows(stream, close, ";") or stream[first - 1].text != "=":
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
        if _words(stream, index - 4, 4) != ["globalContext", "(", ")", "."]:
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
        qualified = _words(stream, index - 2, 2) == ["detail", "::"]
        if index < 2 or not qualified or _words(stream, index + 1, 1) != ["("]:
            continue
        first = index - 2
        while first and stream[first - 1].text in ("::", "at", "torch", "c10"):
            first -= 1
        yield Edit(stream[first].start, stream[index].end, "ported_scalar_type")


def _item(old: str, type: str) -> Rule:
    return Rule(
        id="tensor-" + old[2:].lower().replace("c", "to-c-", 1),
        need="broken",
        gone="torch 1.0",
        since="torch 1.0",
        pattern=f".{old}()",
        replacement=f".item<{type}>()",
        before=f"auto f(at::Tensor x) {{ return x.sum().{old}(); }}\n",
        after=f"auto f(at::Tensor x) {{ return x.sum().item<{type}>(); }}\n",
        untouched=(f"// x.{old}()\n",),
    )


RULES = (
    *(_item(old, type) for old, type in _ITEMS.items()),
    Rule(
        id="type-factory",
        need="broken",
        gone="torch 1.0",
        since="torch 1.0",
        pattern="x.type().tensor(sizes), at::CUDA(at::kFloat).zeros(sizes), …",
        replacement="x.new_empty(sizes), at::zeros(sizes, at::device(at::kCUDA).dtype(at::kFloat))",
        before="auto f(at::Tensor x) { return x.type().zeros({3}) + at::CUDA(at::kInt).tensor({2, 3}); }\n",
        after="auto f(at::Tensor x) {"
        " return x.new_zeros({3}) + at::empty({2, 3}, at::device(at::kCUDA).dtype(at::kInt)); }\n",
        untouched=(
            "// x.type().tensor({3})\n",
            "auto f(Net& net) { return net.zeros({3}) + net.type(1).zeros({3}); }\n",
        ),
        rewrite=_type_factories,
    ),
    Rule(
        id="type-first",
        need="broken",
        gone="torch 1.0",
        since="torch 1.0",
        pattern="at::zeros(at::CUDA(at::kFloat), sizes), at::ones(x.type(), sizes), …",
        replacement="at::zeros(sizes, at::device(at::kCUDA).dtype(at::kFloat)), at::ones(sizes, x.options())",
        before="auto f(at::Tensor x) {"
        " return at::zeros(torch::CUDA(at::kInt), {x.size(0), 2}) + at::ones(x.type(), {2}); }\n",
        after="auto f(at::Tensor x) {"
        " return at::zeros({x.size(0), 2}, at::device(at::kCUDA).dtype(at::kInt))"
        " + at::ones({2}, x.options()); }\n",
        untouched=(
            "auto f(at::Tensor x) { return at::zeros({2}, x.options()); }\n",
            "auto f(at::Tensor x) { return mine::zeros(x.type(), {2}); }\n",
            "// at::zeros(x.type(), {2})\n",
        ),
        rewrite=_type_first,
    ),
    Rule(
        id="to-type",
        need="broken",
        gone="torch 1.5",
        since="torch 1.0",
        pattern="x.toType(at::CUDA(at::kInt))",
        replacement="x.to(at::device(at::kCUDA).dtype(at::kInt))",
        before="auto f(at::Tensor x) { return x.toType(at::CUDA(at::kInt)); }\n",
        after="auto f(at::Tensor x) { return x.to(at::device(at::kCUDA).dtype(at::kInt)); }\n",
        untouched=(
            "auto f(at::Tensor x) { return x.toType(at::kInt); }\n",
            "// x.toType(at::CPU(at::kInt))\n",
        ),
        rewrite=_to_type,
    ),
    Rule(
        id="jit-register-operators",
        need="broken",
        gone="torch 1.5",
        since="torch 1.4",
        pattern='torch::jit::RegisterOperators("a::f", &f)',
        replacement='torch::RegisterOperators("a::f", &f)',
        before='static auto r = torch::jit::RegisterOperators("a::f", &f).op("a::g", &g);\n',
        after='static auto r = torch::RegisterOperators("a::f", &f).op("a::g", &g);\n',
        untouched=(
            "torch::jit::RegisterOperators r({Operator(schema, f)});\n",
            'auto r = torch::RegisterOperators("a::f", &f);\n',
        ),
        rewrite=_register,
    ),
    Rule(
        id="device-guard-argument",
        need="broken",
        gone="torch 1.0",
        since="torch 1.0",
        pattern="at::DeviceGuard guard(x.get_device()), at::DeviceGuard guard(x)",
        replacement="at::DeviceGuard guard(x.device())",
        before="void f(at::Tensor x) {\n  at::DeviceGuard guard(x.get_device());\n}\n",
        after="void f(at::Tensor x) {\n  at::DeviceGuard guard(x.device());\n}\n",
        untouched=(
            "void f(at::Tensor x) {\n  at::DeviceGuard guard(x.device());\n}\n",
            "void f(at::Tensor x) {\n  at::cuda::CUDAGuard guard(x.get_device());\n}\n",
        ),
        rewrite=_device_guards,
    ),
    Rule(
        id="default-generator",
        need="broken",
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
            "// auto gen = at::cuda::detail::getDefaultCUDAGenerator(); gen->seed();\n",
        ),
        rewrite=_generator,
        emits="CUDAGeneratorImpl",
    ),
    Rule(
        id="is-variable",
        need="broken",
        gone="torch 1.7",
        since="torch 1.5",
        pattern=".is_variable()",
        replacement=".defined()",
        before="bool f(at::Tensor x) { return x.is_variable(); }\n",
        after="bool f(at::Tensor x) { return x.defined(); }\n",
        untouched=("// x.is_variable()\n", "bool f(at::Tensor x) { return is_variable(); }\n"),
        why="Every tensor is a Variable since torch 1.5.",
    ),
    Rule(
        id="at-type",
        need="broken",
        gone=_READ,
        since="torch 1.3",
        pattern="const at::Type& type",
        replacement="const at::DeprecatedTypeProperties& type",
        before="bool f(const at::Type& type) { return type.is_cuda(); }\n",
        after="bool f(const at::DeprecatedTypeProperties& type) { return type.is_cuda(); }\n",
        untouched=("using T = my::at::Type;\n", "auto x = at::Type::mine;\n", "// at::Type\n"),
        why="It is what x.type() returns since.",
        rewrite=_type_name,
        emits="DeprecatedTypeProperties",
    ),
    Rule(
        id="context-stream",
        need="broken",
        gone="torch 1.0",
        since="torch 1.0",
        pattern="at::globalContext().getCurrentCUDAStream(), at::globalContext().getNumGPUs()",
        replacement="at::cuda::getCurrentCUDAStream(), c10::cuda::device_count()",
        before="cudaStream_t f() { return at::globalContext().getCurrentCUDAStream(); }\n",
        after="cudaStream_t f() { return at::cuda::getCurrentCUDAStream(); }\n",
        untouched=(
            "// at::globalContext().getCurrentCUDAStream()\n",
            "cudaStream_t f() { return mine().getCurrentCUDAStream(); }\n",
        ),
        rewrite=_context_stream,
        emits="getCurrentCUDAStream|device_count",
    ),
    Rule(
        id="detail-scalar-type",
        need="broken",
        gone="torch 2.6",
        since="torch 1.3",
        pattern="::detail::scalar_type(type)",
        replacement="ported_scalar_type(type)",
        before="#define SWITCH(TYPE) switch (::detail::scalar_type(TYPE))\n"
        "void f(at::Tensor x) { SWITCH(x.type()) { default: g(); } }\n",
        after="#define SWITCH(TYPE) switch (ported_scalar_type(TYPE))\n"
        "void f(at::Tensor x) { SWITCH(x.type()) { default: g(); } }\n",
        untouched=(
            "auto f(at::Tensor x) { return x.scalar_type(); }\n",
            "// ::detail::scalar_type(type)\n",
        ),
        why="Macros that were copied from torch's AT_DISPATCH_* call it, and are given x.type() and"
        " x.scalar_type() alike.",
        rewrite=_scalar_type,
        helper="ported_scalar_type",
    ),
    Rule(
        id="dispatch-all-and-half",
        need="broken",
        gone="torch 1.2",
        since="torch 1.2",
        pattern="AT_DISPATCH_ALL_TYPES_AND_HALF($$arguments)",
        replacement="AT_DISPATCH_ALL_TYPES_AND(at::kHalf, $$arguments)",
        before='void f(at::Tensor x) { AT_DISPATCH_ALL_TYPES_AND_HALF(x.scalar_type(), "f", [&] { g(); }); }\n',
        after="void f(at::Tensor x) {"
        ' AT_DISPATCH_ALL_TYPES_AND(at::kHalf, x.scalar_type(), "f", [&] { g(); }); }\n',
        untouched=("// AT_DISPATCH_ALL_TYPES_AND_HALF(x, n, f)\n",),
        emits="AT_DISPATCH_ALL_TYPES_AND",
    ),
)
