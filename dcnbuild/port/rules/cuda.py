"""CUDA itself: calls and intrinsics that newer toolkits have dropped."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, newline_of, whole_line
from dcnbuild.port.pattern import arguments, follows, skip_angle, template_arguments
from dcnbuild.port.rule import Rule, Scope

_WARP = {
    "__shfl": "__shfl_sync",
    "__shfl_up": "__shfl_up_sync",
    "__shfl_down": "__shfl_down_sync",
    "__shfl_xor": "__shfl_xor_sync",
    "__ballot": "__ballot_sync",
    "__any": "__any_sync",
    "__all": "__all_sync",
}

#: Base classes of functors → the types that they define from their template arguments.
_FUNCTOR_TYPES = {
    "unary_function": ("argument_type", "result_type"),
    "binary_function": ("first_argument_type", "second_argument_type", "result_type"),
}


def _atomic_add(code: Code, scope: Scope) -> Iterable[Edit]:
    """The project's own atomicAdd(double*, double), where no #if takes it away."""
    newline = newline_of(code.text)
    for function in code.functions:
        types = [parameter.type.replace(" ", "") for parameter in function.parameters]
        if function.name != "atomicAdd" or types != ["double*", "double"]:
            continue
        path = code.layout.path_at(function.body[0])
        if any(token.text == "__CUDA_ARCH__" for line in path for token in line.tokens):
            continue
        start, end = whole_line(code.text, function.start, function.body[1] + 1)
        if start and code.text[start - 1] not in "\r\n":
            continue  # other code shares its line, where no #if can stand
        guard = "#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 600"
        text = code.text[start:end]
        last = "" if text.endswith(("\n", "\r")) else newline
        yield Edit(start, start, f"{guard}  // newer GPUs have their own{newline}")
        yield Edit(end, end, f"{last}#endif{newline}")


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


def _symbol_by_name(code: Code, scope: Scope) -> Iterable[Edit]:
    """`cudaMemcpyToSymbol("table", …)` for a symbol that this file defines."""
    for stream, index in code.names("cudaMemcpyToSymbol|cudaMemcpyFromSymbol|cudaGetSymbolAddress"):
        found = arguments(stream, index + 2) if follows(stream, index, "(") else None
        place = 0 if stream[index].text == "cudaMemcpyToSymbol" else 1
        if found is None or len(found[0]) <= place:
            continue
        start, end = found[0][place]
        name = stream[start].text.strip('"')
        text = stream[start]
        alone = end == start + 1 and text.kind == "string" and text.text == f'"{name}"'
        if alone and name in code.live.places:
            yield Edit(text.start, text.end, name)


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


def _renamed(old: str, new: str) -> Rule:
    return Rule(
        id=old.removeprefix("cuda").replace("Thread", "thread-").lower().replace("cache", "cache-"),
        need="broken",
        gone="CUDA 13",
        since="CUDA 4",
        pattern=old,
        replacement=new,
        before=f"void f() {{ {old}(); }}\n",
        after=f"void f() {{ {new}(); }}\n",
        untouched=(f"// {old}()\n",),
    )


def _cub(old: str, new: str) -> Rule:
    return Rule(
        id=f"cub-{old.lower()}",
        need="broken",
        gone="CUDA 13",
        since="CUDA 12.9",
        pattern=f"cub::{old}",
        replacement=new,
        before=f"__device__ int f(int x) {{ return Reduce(tmp).Reduce(x, cub::{old}()); }}\n",
        after=f"__device__ int f(int x) {{ return Reduce(tmp).Reduce(x, {new}()); }}\n",
        untouched=(
            f"__device__ int f(R r, int x) {{ return r.{old}(x); }}\n",
            f"// cub::{old}()\n",
        ),
        emits=new.split("::")[-1].split("<")[0],
    )


def _warp(old: str, new: str) -> Rule:
    value = "x" if old in ("__ballot", "__any", "__all") else "x, 1"
    return Rule(
        id="warp-" + old.strip("_").replace("_", "-"),
        need="broken",
        gone="CUDA 9 for sm_70 and newer, CUDA 13 altogether",
        since="CUDA 9",
        pattern=f"{old}($$operands)",
        replacement=f"{new}(0xffffffffu, $$operands)",
        before=f"__device__ int f(int x) {{ return {old}({value}); }}\n",
        after=f"__device__ int f(int x) {{ return {new}(0xffffffffu, {value}); }}\n",
        untouched=(
            f"#if CUDA_VERSION >= 9000\n#define F {new}\n#else\n#define F(m, x) {old}(x)\n#endif\n",
            f"#ifdef OLD_CUDA\n#define F(x) {old}(x)\n#else\n#define F(x) {new}(~0u, x)\n#endif\n",
            f"#ifdef MY_LIBRARY_WITH_HIP\n#define F(x) {old}(x)\n#endif\n",
            f"// {old}(x)\n",
        ),
        either=True,
        why="The mask names the lanes that take part: all of them, which is what the old form meant."
        if old == "__shfl"
        else "",
    )


RULES = (
    Rule(
        id="thread-synchronize",
        need="broken",
        gone="CUDA 13",
        since="CUDA 4",
        pattern="cudaThreadSynchronize()",
        replacement="cudaDeviceSynchronize()",
        before="void f() { cudaThreadSynchronize(); }\n",
        after="void f() { cudaDeviceSynchronize(); }\n",
        untouched=("// cudaThreadSynchronize()\n",),
    ),
    _renamed("cudaThreadExit", "cudaDeviceReset"),
    _renamed("cudaThreadSetLimit", "cudaDeviceSetLimit"),
    _renamed("cudaThreadGetLimit", "cudaDeviceGetLimit"),
    _renamed("cudaThreadSetCacheConfig", "cudaDeviceSetCacheConfig"),
    _renamed("cudaThreadGetCacheConfig", "cudaDeviceGetCacheConfig"),
    Rule(
        id="symbol-by-name",
        need="broken",
        gone="CUDA 5, at run time",
        since="CUDA 4",
        pattern='cudaMemcpyToSymbol("table", …)',
        replacement="cudaMemcpyToSymbol(table, …)",
        before='__constant__ float table[4];\nvoid f(float* p) { cudaMemcpyToSymbol("table", p, 16); }\n',
        after="__constant__ float table[4];\nvoid f(float* p) { cudaMemcpyToSymbol(table, p, 16); }\n",
        untouched=(
            'void f(float* p) { cudaMemcpyToSymbol("elsewhere", p, 16); }\n',
            '__constant__ float table[4];\nvoid f() { log("table"); }\n',
        ),
        why="It compiles, takes the text for the symbol and fails when it is called.",
        rewrite=_symbol_by_name,
    ),
    Rule(
        id="thrust-functor-base",
        need="broken",
        gone="CUDA 13",
        since="any",
        pattern="struct F : public thrust::unary_function<A, B> { … }",
        replacement="struct F { … }",
        before="struct F : public thrust::unary_function<int, int> {\n  int n;\n};\n",
        after="struct F {\n  int n;\n};\n",
        untouched=(
            "struct F : public mine::unary_function<int, int> {};\n",
            "// struct F : public thrust::unary_function<int, int> {};\n",
        ),
        why="The base only named the types of argument and result, which thrust finds out itself. Where the file asks for"
        " them (`result_type`), the struct names them.",
        rewrite=_functor_base,
    ),
    # "::" in front, since `using namespace at` brings another `cuda`
    Rule(
        id="thrust-identity",
        need="broken",
        gone="CUDA 13",
        since="CUDA 12.0",
        pattern="thrust::identity<T>",
        replacement="::cuda::std::identity",
        before="#include <thrust/functional.h>\nauto f = thrust::identity<int>();\n",
        after="#include <thrust/functional.h>\n#include <cuda/std/functional>\nauto f = ::cuda::std::identity();\n",
        untouched=("auto f = mine::identity<int>();\n", "// thrust::identity<int>()\n"),
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
    Rule(
        id="cub-iterator",
        need="broken",
        gone="CUDA 13",
        since="CUDA 9",
        pattern="cub::CountingInputIterator<T>, cub::TransformInputIterator<V, Op, It>, …",
        replacement="thrust::counting_iterator<T>, thrust::transform_iterator<Op, It, V>, …",
        before="void f(int n) {\n  cub::CountingInputIterator<int> all(0);\n"
        "  cub::TransformInputIterator<float, Twice, std::vector<float, A>> it(n, Twice());\n}\n",
        after="void f(int n) {\n  thrust::counting_iterator<int> all(0);\n"
        "  thrust::transform_iterator<Twice, std::vector<float, A>, float> it(n, Twice());\n}\n",
        untouched=(
            "mine::CountingInputIterator<int> all(0);\n",
            "// cub::CountingInputIterator<int>\n",
        ),
        rewrite=_iterators,
        emits="counting_iterator|constant_iterator|discard_iterator|transform_iterator",
    ),
    *(_warp(old, new) for old, new in _WARP.items()),
    Rule(
        id="atomic-add-double",
        need="broken",
        gone="sm_60, which has its own",
        since="CUDA 8",
        pattern="__device__ double atomicAdd(double*, double) { … }",
        replacement="the same between #if __CUDA_ARCH__ < 600 and #endif",
        before="__device__ double atomicAdd(double* p, double v) { return add(p, v); }\n",
        after="#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 600  // newer GPUs have their own\n"
        "__device__ double atomicAdd(double* p, double v) { return add(p, v); }\n#endif\n",
        untouched=(
            "#if __CUDA_ARCH__ < 600\n"
            "__device__ double atomicAdd(double* p, double v) { return add(p, v); }\n#endif\n",
            "__device__ float atomicAdd(half* p, float v) { return add(p, v); }\n",
        ),
        rewrite=_atomic_add,
    ),
)
