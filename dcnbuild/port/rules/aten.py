"""Names of ATen from torch 0.4 and 1.0: at::Type, its factories, toCFloat(), the context's stream."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments, follows
from dcnbuild.port.rule import Rule, Scope
from dcnbuild.port.rules.tensors import is_type_variable
from dcnbuild.port.stream import Stream

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
_TYPE_FIRST = ("zeros", "ones", "empty", "rand", "randn", "full", "arange", "linspace", "eye")
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
        elif end - start > 4 and _words(stream, end - 4, 4)[1:] == ["type", "(", ")"]:
            options = code.text[stream[start].start : stream[end - 3].start] + "options()"
        elif end == start + 1 and is_type_variable(code, stream[start]):
            options = f"{type}.options()"
        else:
            continue
        last = stream[found[1]]
        yield Edit(stream[start].start, stream[rest[0][0]].start, "")
        yield Edit(last.start, last.start, f", {options}")


def _backend(stream: Stream, close: int) -> int | None:
    """The "(" of `CUDA(type)` or `CPU(type)` that ends at this ")"."""
    opening = stream.partner[close] if close > 0 else -1
    return opening if opening > 0 and stream[opening - 1].text in ("CUDA", "CPU") else None


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
