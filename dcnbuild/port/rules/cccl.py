"""thrust and cub: functors, iterators and arguments that CUDA 13 has dropped."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments, follows, skip_angle, template_arguments
from dcnbuild.port.rule import Rule, Scope

#: Base classes of functors → the types that they define from their template arguments.
_FUNCTOR_TYPES = {
    "unary_function": ("argument_type", "result_type"),
    "binary_function": ("first_argument_type", "second_argument_type", "result_type"),
}


def _functor_base(code: Code, scope: Scope) -> Iterable[Edit]:
    """`struct F : public thrust::unary_function<A, B> {`; the types that it defines where something asks for them."""
    for stream, index in code.names("|".join(_FUNCTOR_TYPES)):
        if index < 4 or [t.text for t in stream[index - 2 : index]] != ["thrust", "::"]:
            continue
        first = index - 2
        while first and stream[first - 1].text in ("::", "public", "private"):
            first -= 1
        close = skip_angle(stream, index + 2)
        alone = first and stream[first - 1].text == ":" and close is not None
        if not alone or close is None or not follows(stream, close, "{"):
            continue
        given = template_arguments(code.text, stream, index + 1)
        types = _FUNCTOR_TYPES[stream[index].text]
        if len(given) != len(types):
            continue
        asked = {stream[i].text for stream, i in code.names("|".join(types))}
        yield Edit(stream[first - 2].end, stream[close].end, "")
        defined = [f" using {t} = {g};" for t, g in zip(types, given, strict=True) if t in asked]
        if defined:
            yield Edit(stream[close + 1].end, stream[close + 1].end, "".join(defined))


def _identity(code: Code, scope: Scope) -> Iterable[Edit]:
    """`thrust::identity<T>`."""
    for stream, index in code.names("identity"):
        close = skip_angle(stream, index + 2) if follows(stream, index, "<") else None
        if close is not None and [t.text for t in stream[index - 2 : index]] == ["thrust", "::"]:
            first = index - 3 if index > 2 and stream[index - 3].text == "::" else index - 2
            yield Edit(stream[first].start, stream[close].end, "::cuda::std::identity")


#: Iterators of cub that CUDA 13 has dropped → thrust's, and the order of its template arguments.
_ITERATORS = {
    "CountingInputIterator": ("counting_iterator", (0,)),
    "ConstantInputIterator": ("constant_iterator", (0,)),
    "DiscardOutputIterator": ("discard_iterator", ()),
    "TransformInputIterator": ("transform_iterator", (1, 2, 0)),
}


def _iterators(code: Code, scope: Scope) -> Iterable[Edit]:
    """`cub::TransformInputIterator<Value, Operation, Iterator>` and its like."""
    for stream, index in code.names("|".join(_ITERATORS)):
        words = [token.text for token in stream[max(index - 2, 0) : index]]
        close = skip_angle(stream, index + 2) if follows(stream, index, "<") else None
        if words != ["cub", "::"] or close is None:
            continue
        name, order = _ITERATORS[stream[index].text]
        given = template_arguments(code.text, stream, index + 1)
        if len(given) <= max(order, default=-1):
            continue
        chosen = ", ".join(given[place] for place in order)
        first = index - 3 if index > 2 and stream[index - 3].text == "::" else index - 2
        new = f"thrust::{name}<{chosen}>"
        yield Edit(stream[first].start, stream[close].end, new)


def _debug_argument(code: Code, scope: Scope) -> Iterable[Edit]:
    """`cub::DeviceReduce::Sum(…, stream, true)`: whether to wait for every kernel."""
    for stream, index in code.names(r"Device[A-Z]\w+"):
        behind = [t.text for t in stream[max(index - 2, 0) : index]] == ["cub", "::"]
        opening = index + 3
        if not behind or not follows(stream, index, "::") or opening >= len(stream):
            continue
        if stream[opening].text == "<":
            opening = (skip_angle(stream, opening + 1) or len(stream)) + 1
        called = opening < len(stream) and stream[opening].text == "("
        found = arguments(stream, opening + 1) if called else None
        if found is None or len(found[0]) < 4:
            continue
        start, end = found[0][-1]
        if end == start + 1 and stream[start].text in ("true", "false"):
            before = found[0][-2][1]
            yield Edit(stream[before].start, stream[start].end, "")


def _cub(old: str, new: str) -> Rule:
    return Rule(
        id=f"cub-{old.lower()}",
        gone="CUDA 13",
        since="CUDA 12.9",
        pattern=f"cub::{old}",
        replacement=new,
        before=f"__device__ int f(int x) {{ return Reduce(tmp).Reduce(x, cub::{old}()); }}\n",
        after=f"__device__ int f(int x) {{ return Reduce(tmp).Reduce(x, {new}()); }}\n",
        untouched=(f"__device__ int f(R r, int x) {{ return r.{old}(x); }}\n", f"// cub::{old}()\n"),
        emits=new.split("::")[-1].split("<")[0],
    )


RULES = (
    Rule(
        id="thrust-functor-base",
        gone="CUDA 13",
        pattern="struct F : public thrust::unary_function<A, B> { … }",
        replacement="struct F { … }",
        before="struct F : public thrust::unary_function<int, int> {\n  int n;\n};\n",
        after="struct F {\n  int n;\n};\n",
        untouched=("struct F : public mine::unary_function<int, int> {};\n",),
        why="The base only named the types of argument and result, which thrust finds out itself. Where the file "
        "asks for"
        " them (`result_type`), the struct names them.",
        rewrite=_functor_base,
    ),
    # "::" in front, since `using namespace at` brings another `cuda`
    Rule(
        id="thrust-identity",
        gone="CUDA 13",
        since="CUDA 12.0",
        pattern="thrust::identity<T>",
        replacement="::cuda::std::identity",
        before="#include <thrust/functional.h>\nauto f = thrust::identity<int>();\n",
        after="#include <thrust/functional.h>\n#include <cuda/std/functional>\nauto f = ::cuda::std::identity();\n",
        untouched=("auto f = mine::identity<int>();\n",),
        rewrite=_identity,
        emits="identity",
    ),
    _cub("Sum", "::cuda::std::plus<>"),
    _cub("Max", "::cuda::maximum<>"),
    _cub("Min", "::cuda::minimum<>"),
    _cub("Equality", "::cuda::std::equal_to<>"),
    _cub("Inequality", "::cuda::std::not_equal_to<>"),
    _cub("Difference", "::cuda::std::minus<>"),
    _cub("Division", "::cuda::std::divides<>"),
    *(
        Rule(
            id=f"cub-{name}",
            gone="CUDA 13",
            pattern=old,
            replacement=new,
            before=f"int f(int n, int m) {{ return {old.replace('$a', 'n').replace('$b', 'm')}; }}\n",
            after=f"int f(int n, int m) {{ return {new.replace('$a', 'n').replace('$b', 'm')}; }}\n",
            untouched=(f"// {old}\n",),
            emits=new.partition("(")[0].rpartition("::")[2],
        )
        for name, old, new in (
            ("max-macro", "CUB_MAX($a, $b)", "(($a) > ($b) ? ($a) : ($b))"),
            ("min-macro", "CUB_MIN($a, $b)", "(($a) < ($b) ? ($a) : ($b))"),
            ("quotient-ceiling-macro", "CUB_QUOTIENT_CEILING($a, $b)", "((($a) + ($b) - 1) / ($b))"),
            ("quotient-floor-macro", "CUB_QUOTIENT_FLOOR($a, $b)", "(($a) / ($b))"),
            ("round-up-macro", "CUB_ROUND_UP_NEAREST($a, $b)", "((($a) + ($b) - 1) / ($b) * ($b))"),
            ("round-down-macro", "CUB_ROUND_DOWN_NEAREST($a, $b)", "(($a) / ($b) * ($b))"),
            ("lane-id", "cub::LaneId()", "::cuda::ptx::get_sreg_laneid()"),
            ("cta-sync", "cub::CTA_SYNC()", "__syncthreads()"),
            ("cta-sync-and", "cub::CTA_SYNC_AND($a)", "__syncthreads_and($a)"),
            ("cta-sync-or", "cub::CTA_SYNC_OR($a)", "__syncthreads_or($a)"),
            ("warp-sync", "cub::WARP_SYNC($a)", "__syncwarp($a)"),
            ("warp-all", "cub::WARP_ALL($a, $b)", "__all_sync($b, $a)"),
            ("warp-any", "cub::WARP_ANY($a, $b)", "__any_sync($b, $a)"),
            ("warp-ballot", "cub::WARP_BALLOT($a, $b)", "__ballot_sync($b, $a)"),
        )
    ),
    Rule(
        id="cub-iterator",
        gone="CUDA 13",
        since="CUDA 9",
        pattern="cub::CountingInputIterator<T>, cub::TransformInputIterator<V, Op, It>, …",
        replacement="thrust::counting_iterator<T>, thrust::transform_iterator<Op, It, V>, …",
        before="void f(int n) {\n  cub::CountingInputIterator<int> all(0);\n"
        "  cub::TransformInputIterator<float, Twice, std::vector<float, A>> it(n, Twice());\n}\n",
        after="void f(int n) {\n  thrust::counting_iterator<int> all(0);\n"
        "  thrust::transform_iterator<Twice, std::vector<float, A>, float> it(n, Twice());\n}\n",
        untouched=("mine::CountingInputIterator<int> all(0);\n",),
        rewrite=_iterators,
        emits="counting_iterator|constant_iterator|discard_iterator|transform_iterator",
    ),
    Rule(
        id="cub-debug-argument",
        gone="CUDA 13",
        since="CUDA 11",
        pattern="cub::DeviceReduce::Sum(…, stream, true)",
        replacement="cub::DeviceReduce::Sum(…, stream)",
        before="void f() { cub::DeviceReduce::Sum(tmp, bytes, in, out, n, stream, false); }\n",
        after="void f() { cub::DeviceReduce::Sum(tmp, bytes, in, out, n, stream); }\n",
        untouched=(
            "void f() { cub::DeviceReduce::Sum(tmp, bytes, in, out, n, stream); }\n",
            "void f() { mine::DeviceReduce::Sum(tmp, bytes, in, out, n, stream, true); }\n",
        ),
        why="The last argument made cub wait for each kernel; CUB_DEBUG_SYNC does that now.",
        rewrite=_debug_argument,
    ),
)
