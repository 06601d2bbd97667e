"""CUDA itself: calls and intrinsics that newer toolkits have dropped."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, newline_of, whole_line
from dcnbuild.port.pattern import arguments, follows
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


def _renamed(old: str, new: str) -> Rule:
    return Rule(
        id=old.removeprefix("cuda").replace("Thread", "thread-").lower().replace("cache", "cache-"),
        gone="CUDA 13",
        since="CUDA 4",
        pattern=old,
        replacement=new,
        before=f"void f() {{ {old}(); }}\n",
        after=f"void f() {{ {new}(); }}\n",
        untouched=(f"// {old}()\n",),
    )


def _warp(old: str, new: str) -> Rule:
    value = "x" if old in ("__ballot", "__any", "__all") else "x, 1"
    return Rule(
        id="warp-" + old.strip("_").replace("_", "-"),
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
    *(_warp(old, new) for old, new in _WARP.items()),
    Rule(
        id="atomic-add-double",
        gone="sm_60, which has its own",
        since="CUDA 8",
        pattern="__device__ double atomicAdd(double*, double) { … }",
        replacement="the same between #if __CUDA_ARCH__ < 600 and #endif",
        before="__device__ double atomicAdd(double* p, double v) { return add(p, v); }\n",
        after="#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 600  // newer GPUs have their own\n"
        "__device__ double atomicAdd(double* p, double v) { return add(p, v); }\n#endif\n",
        untouched=(
            "#if __CUDA_ARCH__ < 600\n__device__ double atomicAdd(double* p, double v) { return add(p, v); }\n#endif\n",
            "__device__ float atomicAdd(half* p, float v) { return add(p, v); }\n",
        ),
        rewrite=_atomic_add,
    ),
)
