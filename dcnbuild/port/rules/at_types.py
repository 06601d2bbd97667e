"""Types of torch 0.4 and 1.0 as objects: at::Type, and the factories and conversions that take one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, line_of
from dcnbuild.port.pattern import arguments, follows
from dcnbuild.port.result import Remark
from dcnbuild.port.rule import Rule, Scope
from dcnbuild.port.rules.tensors import is_type_variable, of_storage
from dcnbuild.port.stream import Stream

#: What at:: had with a type in front of the sizes, until torch 1.0.
_TYPE_FIRST = (
    *("zeros", "ones", "empty", "rand", "randn", "full", "arange", "linspace", "eye", "randperm"),
    *("randint", "range", "logspace", "zeros_like", "ones_like", "tensor", "from_blob"),
)
_SPACES = ("at", "torch")
#: Factories of at::Type → the method of a tensor, and the function, of the same meaning.
_FACTORIES = {"tensor": "empty", "zeros": "zeros", "ones": "ones"}
_FUNCTIONS = {**_FACTORIES, **{f: f for f in ("zeros_like", "ones_like", "rand", "randn", "arange", "randperm")}}
_READ = "deprecated in torch 1.3, not in torch 2.14.1"


def words_at(stream: Stream, start: int, count: int) -> list[str]:
    """The texts of some tokens, fewer at the ends of the stream."""
    return [token.text for token in stream[max(start, 0) : start + count]]


def _type_name(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::Type` as the type of a variable, a member or a parameter; `Type&` where a file uses namespace at."""
    found = list(code.names("Type"))
    using = found and any(words_at(s, i - 2, 2) == ["using", "namespace"] for s, i in code.names("at"))
    for stream, index in found:
        qualified = words_at(stream, index - 2, 2) in (["at", "::"], ["torch", "::"])
        if using and follows(stream, index, "&") and words_at(stream, index - 1, 1) != ["::"]:
            if "Type" not in scope.own:
                yield Edit(stream[index].start, stream[index].end, "DeprecatedTypeProperties")
            continue
        further = words_at(stream, index + 1, 1) == ["::"] or words_at(stream, index - 3, 1) == ["::"]
        if index >= 2 and qualified and not further:
            yield Edit(stream[index].start, stream[index].end, "DeprecatedTypeProperties")


def _type_factories(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.type().tensor({n})`, and the same of at::CUDA(at::kFloat) and at::CPU(at::kFloat)."""
    for stream, index in code.names("|".join(_FUNCTIONS)):
        name, made = stream[index], _FUNCTIONS[stream[index].text]
        if words_at(stream, index + 1, 1) != ["("] or words_at(stream, index - 1, 1) != ["."]:
            continue
        found = arguments(stream, index + 2)
        if found is None or len(found[0]) > 1:
            continue
        sizes = "" if found[0] else "{0}"
        close = stream[found[1]]
        if index >= 5 and words_at(stream, index - 4, 3) == ["type", "(", ")"]:
            if stream[index - 5].text in (".", "->") and name.text in _FACTORIES:
                yield Edit(stream[index - 4].start, name.end, f"new_{made}")
                yield Edit(close.start, close.start, sizes)
            continue
        if is_type_variable(code, stream[index - 2]):
            yield Edit(stream[index - 2].start, name.end, f"at::{made}")
            yield Edit(close.start, close.start, f"{sizes}, {stream[index - 2].text}.options()")
            continue
        scalar = stream.partner[index - 2]
        if words_at(stream, scalar - 5, 5) == ["type", "(", ")", ".", "toScalarType"] and name.text in _FACTORIES:
            inside = code.text[stream[scalar].end : stream[index - 2].start]
            yield Edit(stream[scalar - 5].start, name.end, f"new_{made}")
            yield Edit(close.start, close.start, f"{sizes}, {inside}")
            continue
        opening = _backend(stream, index - 2)
        if opening is not None:
            given = code.text[stream[index + 1].end : close.start] + sizes
            first = opening - 3 if words_at(stream, opening - 2, 1) == ["::"] else opening - 1
            yield Edit(stream[first].start, close.end, f"at::{made}({given}, {_options(code, stream, opening)})")


def _backends(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.type().backend() == at::kCUDA`, which was a backend once and is a kind of device."""
    for stream, index in code.names("backend"):
        asked = words_at(stream, index - 4, 4) == ["type", "(", ")", "."] and follows(stream, index, "(", ")")
        named = words_at(stream, index + 4, 3)
        kind = named[-1:] if named[1:2] == ["::"] and named[0] in _SPACES else named[:1]
        if asked and words_at(stream, index + 3, 1)[0] in ("==", "!=") and kind[0] in ("kCUDA", "kCPU"):
            yield Edit(stream[index - 4].start, stream[index].end, "device().type")


def left_storage(code: Code) -> Iterator[Remark]:
    """What is asked of a tensor's `.storage()` and is no member of it any more."""
    found: dict[str, set[int]] = {}
    for stream, index in code.names("data|size"):
        typed = follows(stream, index, "<") if stream[index].text == "data" else follows(stream, index, "(", ")")
        if typed and of_storage(stream, index):
            lines = found.setdefault(f"storage().{stream[index].text}", set())
            lines.add(line_of(code.text, stream[index].start))
    for subject, lines in found.items():
        reason = "storages hold bytes since torch 2.1"
        advice = (
            "x.storage().mutable_data() is a void*, x.storage().nbytes() the size; x.data_ptr<T>() begins at the offset"
        )
        yield Remark("storage-member", tuple(sorted(lines)), subject, reason, advice, "broken")


def _type_first(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::zeros(type, sizes)`: the type of a tensor, of at::CUDA(…) or of a variable stands first."""
    for stream, index in code.names("|".join(_TYPE_FIRST)):
        if words_at(stream, index - 1, 1) != ["::"] or not follows(stream, index, "("):
            continue
        found = arguments(stream, index + 2)
        if found is None or len(found[0]) < 2 or words_at(stream, index - 2, 1)[0] not in _SPACES:
            continue
        (start, end), rest = found[0][0], found[0][1:]
        type = code.text[stream[start].start : stream[end - 1].end]
        opening = _backend(stream, end - 1)
        if opening is not None:
            options = _options(code, stream, opening)
        elif (tensor := _end_of_tensor(stream, start, end)) is not None:
            options = code.text[stream[start].start : stream[tensor].start] + "options()"
            converted = stream.partner[end - 1] if tensor < end - 3 else -1
            if converted > 0:
                inside = code.text[stream[converted].end : stream[end - 1].start]
                options += f".dtype({inside})"
        elif is_type_variable(code, stream[start]) and (
            end == start + 1 or follows(stream, start, ".", "toScalarType") and stream.partner[start + 3] == end - 1
        ):
            options = f"{type}.options()"
        else:
            continue
        last = stream[found[1]]
        yield Edit(stream[start].start, stream[rest[0][0]].start, "")
        yield Edit(last.start, last.start, f", {options}")


def _end_of_tensor(stream: Stream, start: int, end: int) -> int | None:
    """The `type` of an argument that is `x.type()` or `x.type().toScalarType(…)`."""
    opening = stream.partner[end - 1] if end - start > 4 else -1
    if opening > start + 4 and words_at(stream, opening - 2, 2) == [".", "toScalarType"]:
        end = opening - 2
    found = end - 3
    there = found > start + 1 and words_at(stream, found, 3) == ["type", "(", ")"]
    return found if there and stream[found - 1].text in (".", "->") else None


def _backend(stream: Stream, close: int) -> int | None:
    """The "(" of `CUDA(type)` or `CPU(type)` that ends at this ")"."""
    opening = stream.partner[close] if close > 0 else -1
    return opening if opening > 0 and stream[opening - 1].text in ("CUDA", "CPU") else None


def _options(code: Code, stream: Stream, opening: int) -> str:
    """The options that `CUDA(type)` or `CPU(type)` with this "(" stands for."""
    inside = code.text[stream[opening].end : stream[stream.partner[opening]].start]
    return f"at::device(at::k{stream[opening - 1].text}).dtype({inside})"


def _to_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.toType(at::CUDA(at::kInt))`, and `x.toType(y.type())`."""
    for stream, index in code.names("toType"):
        close = stream.partner[index + 1] if follows(stream, index, "(") else -1
        opening = _backend(stream, close - 1) if close > 0 else None
        if opening is not None and opening - index < 6:
            yield Edit(stream[index].start, stream[close].end, f"to({_options(code, stream, opening)})")
        elif close > 0 and index + 3 == close and is_type_variable(code, stream[index + 2]):
            yield Edit(stream[index].start, stream[close].end, f"to({stream[index + 2].text}.options())")
        elif close > 0 and (type := _end_of_tensor(stream, index + 2, close)) is not None:
            yield Edit(stream[index].start, stream[index].end, "to")
            yield Edit(stream[type].start, stream[type].end, "options")
            if type + 3 < close:
                yield Edit(stream[type + 4].start, stream[type + 4].end, "dtype")


RULES = (
    Rule(
        id="device-type",
        gone="torch 1.0",
        since="torch 1.0",
        pattern="at::Device::Type",
        replacement="at::DeviceType",
        before="bool f(at::Tensor x) { return x.device().type() == at::Device::Type::CUDA; }\n",
        after="bool f(at::Tensor x) { return x.device().type() == at::DeviceType::CUDA; }\n",
        untouched=("bool f(mine::Device::Type t) { return t == mine::Device::Type::CUDA; }\n",),
    ),
    Rule(
        id="type-backend",
        gone="torch 1.0",
        since="torch 1.0",
        pattern="x.type().backend() == at::kCUDA",
        replacement="x.device().type() == at::kCUDA",
        before="bool f(at::Tensor x) { return x.type().backend() == at::kCUDA; }\n",
        after="bool f(at::Tensor x) { return x.device().type() == at::kCUDA; }\n",
        untouched=("bool f(at::Tensor x) { return x.type().backend() == at::Backend::CUDA; }\n",),
        rewrite=_backends,
    ),
    Rule(
        id="type-factory",
        gone="torch 1.0",
        since="torch 1.0",
        pattern="x.type().tensor(sizes), at::CUDA(at::kFloat).zeros(sizes), …",
        replacement="x.new_empty(sizes), at::zeros(sizes, at::device(at::kCUDA).dtype(at::kFloat))",
        before="auto f(at::Tensor x) { return x.type().zeros({3}) + at::CUDA(at::kInt).tensor({2, 3})"
        " + torch::CPU(at::kInt).zeros_like(x)"
        " + x.type().toScalarType(at::kLong).ones({1}); }\n"
        "auto g(const at::Type& t) { return t.tensor({1}); }\n",
        after="auto f(at::Tensor x) {"
        " return x.new_zeros({3}) + at::empty({2, 3}, at::device(at::kCUDA).dtype(at::kInt))"
        " + at::zeros_like(x, at::device(at::kCPU).dtype(at::kInt))"
        " + x.new_ones({1}, at::kLong); }\n"
        "auto g(const at::Type& t) { return at::empty({1}, t.options()); }\n",
        untouched=("auto f(Net& net) { return net.zeros({3}) + net.type(1).zeros({3}); }\n",),
        rewrite=_type_factories,
    ),
    Rule(
        id="type-first",
        gone="torch 1.0",
        since="torch 1.0",
        pattern="at::zeros(at::CUDA(at::kFloat), sizes), at::ones(x.type(), sizes), …",
        replacement="at::zeros(sizes, at::device(at::kCUDA).dtype(at::kFloat)), at::ones(sizes, x.options())",
        before="auto f(at::Tensor x) { auto& t = x.type();"
        " return at::zeros(torch::CUDA(at::kInt), {x.size(0), 2}) + at::ones(x.type(), {2})"
        " + at::empty(t.toScalarType(at::kInt), {2}); }\n",
        after="auto f(at::Tensor x) { auto& t = x.type();"
        " return at::zeros({x.size(0), 2}, at::device(at::kCUDA).dtype(at::kInt))"
        " + at::ones({2}, x.options()) + at::empty({2}, t.toScalarType(at::kInt).options()); }\n",
        untouched=(
            "auto f(at::Tensor x) { return at::zeros({2}, x.options()); }\n",
            "auto f(at::Tensor x) { return mine::zeros(x.type(), {2}); }\n",
        ),
        rewrite=_type_first,
    ),
    Rule(
        id="to-type",
        gone="torch 1.5",
        since="torch 1.0",
        pattern="x.toType(at::CUDA(at::kInt)), x.toType(y.type())",
        replacement="x.to(at::device(at::kCUDA).dtype(at::kInt)), x.to(y.options())",
        before="auto f(at::Tensor x) { return x.toType(at::CUDA(at::kInt)).toType(x.type())"
        ".toType(x.type().toScalarType(at::kInt)); }\n",
        after="auto f(at::Tensor x) { return x.to(at::device(at::kCUDA).dtype(at::kInt)).to(x.options())"
        ".to(x.options().dtype(at::kInt)); }\n",
        untouched=("auto f(at::Tensor x) { return x.toType(at::kInt); }\n",),
        rewrite=_to_type,
    ),
    Rule(
        id="at-type",
        gone=_READ,
        since="torch 1.3",
        pattern="const at::Type& type",
        replacement="const at::DeprecatedTypeProperties& type",
        before="bool f(const at::Type& type) { return type.is_cuda(); }\n"
        "using namespace at;\nTensor g(Tensor x) { Type& t = x.type().toScalarType(kLong); return t.tensor({3}); }\n",
        after="bool f(const at::DeprecatedTypeProperties& type) { return type.is_cuda(); }\n"
        "using namespace at;\nTensor g(Tensor x) {"
        " DeprecatedTypeProperties& t = x.type().toScalarType(kLong); return t.tensor({3}); }\n",
        untouched=(
            "using namespace at;\nstruct Type {};\nvoid f(Type& t) {}\n",
            "void f(const Type& t) {}\n",
            "using T = my::at::Type;\n",
            "auto x = at::Type::mine;\n",
        ),
        why="It is what x.type() returns since.",
        rewrite=_type_name,
        emits="DeprecatedTypeProperties",
    ),
)
