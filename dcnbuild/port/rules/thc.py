"""The THC runtime: its stream, memory and small helpers."""

from __future__ import annotations

import bisect
from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments
from dcnbuild.port.rule import Rule, Scope

_GONE = "torch 1.11"


def _ceil_div(code: Code, scope: Scope) -> Iterable[Edit]:
    """THCCeilDiv; with `long` literals in it, both it and a std::min around it become int64_t."""
    if "THCCeilDiv" in scope.own:
        return
    for stream, index in code.names("THCCeilDiv"):
        if index + 1 >= len(stream) or stream[index + 1].text != "(":
            continue
        found = arguments(stream, index + 2)
        if found is None:
            continue
        name = stream[index]
        longs = stream.long_numbers
        at = bisect.bisect(longs, index)
        wide = at < len(longs) and longs[at] < found[1]
        yield Edit(name.start, name.end, "at::ceil_div<int64_t>" if wide else "at::ceil_div")
        outer = stream[max(index - 4, 0) : index]
        if wide and [token.text for token in outer] in (["std", "::", "min", "("], ["std", "::", "max", "("]):
            yield Edit(outer[2].end, outer[2].end, "<int64_t>")


#: Names that headers of THC brought without its prefix → where torch has them.
_MOVED = {
    **dict.fromkeys(("GET_BLOCKS", "CUDA_NUM_THREADS"), ("THCUNN/", "at::cuda::detail::")),
    **dict.fromkeys(("getApplyBlock", "getApplyGrid"), ("THC/", "at::cuda::")),
}


def _launch_sizes(code: Code, scope: Scope) -> Iterable[Edit]:
    """GET_BLOCKS of THCUNN/common.h and its like, which torch keeps in a namespace now."""
    there = [include.header[1:-1] for include in code.layout.includes]
    for stream, index in code.names("|".join(_MOVED)) if there else ():
        from_header, namespace = _MOVED[stream[index].text]
        own = stream[index].text in scope.own or stream[index - 1].text == "::"
        if not own and any(header.startswith(from_header) for header in there):
            yield Edit(stream[index].start, stream[index].start, namespace)


def _call(id: str, old: str, new: str, emits: str, before: str, after: str) -> Rule:
    """A rule for one THC function that has an equivalent with the same meaning."""
    name = old.split("(")[0].split(" ")[0]
    return Rule(
        id=id,
        gone=_GONE,
        since="torch 1.0",
        pattern=old,
        replacement=new,
        before=before,
        after=after,
        untouched=(f"// {name}(state)\n", f'const char* s = "{name}(state)";\n'),
        emits=emits,
    )


RULES = (
    _call(
        "thc-stream",
        "THCState_getCurrentStream($$state)",
        "at::cuda::getCurrentCUDAStream()",
        "getCurrentCUDAStream",
        "void f() { kernel<<<1, 32, 0, THCState_getCurrentStream(state)>>>(); }\n",
        "void f() { kernel<<<1, 32, 0, at::cuda::getCurrentCUDAStream()>>>(); }\n",
    ),
    _call(
        "thc-device-properties",
        "THCState_getCurrentDeviceProperties($$state)",
        "at::cuda::getCurrentDeviceProperties()",
        "getCurrentDeviceProperties",
        "int f() { return THCState_getCurrentDeviceProperties(state)->multiProcessorCount; }\n",
        "int f() { return at::cuda::getCurrentDeviceProperties()->multiProcessorCount; }\n",
    ),
    _call(
        "thc-properties-of-device",
        "THCState_getDeviceProperties($state, $$device)",
        "at::cuda::getDeviceProperties($$device)",
        "getDeviceProperties",
        "int f() { return THCState_getDeviceProperties(state, 1)->major; }\n",
        "int f() { return at::cuda::getDeviceProperties(1)->major; }\n",
    ),
    _call(
        "thc-device-count",
        "THCState_getNumDevices($$state)",
        "c10::cuda::device_count()",
        "device_count",
        "int f() { return THCState_getNumDevices(state); }\n",
        "int f() { return c10::cuda::device_count(); }\n",
    ),
    _call(
        "thc-sparse-handle",
        "THCState_getCurrentSparseHandle($$state)",
        "at::cuda::getCurrentCUDASparseHandle()",
        "getCurrentCUDASparseHandle",
        "void f() { g(THCState_getCurrentSparseHandle(state)); }\n",
        "void f() { g(at::cuda::getCurrentCUDASparseHandle()); }\n",
    ),
    _call(
        "thc-empty-cache",
        "THCCachingAllocator_emptyCache()",
        "c10::cuda::CUDACachingAllocator::emptyCache()",
        "CUDACachingAllocator",
        "void f() { THCCachingAllocator_emptyCache(); }\n",
        "void f() { c10::cuda::CUDACachingAllocator::emptyCache(); }\n",
    ),
    _call(
        "thc-blas-handle",
        "THCState_getCurrentBlasHandle($$state)",
        "at::cuda::getCurrentCUDABlasHandle()",
        "getCurrentCUDABlasHandle",
        "cublasHandle_t f() { return THCState_getCurrentBlasHandle(state); }\n",
        "cublasHandle_t f() { return at::cuda::getCurrentCUDABlasHandle(); }\n",
    ),
    _call(
        "thc-cuda-check",
        "THCudaCheck($$call)",
        "C10_CUDA_CHECK($$call)",
        "C10_CUDA_CHECK",
        "void f() { THCudaCheck(cudaGetLastError()); }\n",
        "void f() { C10_CUDA_CHECK(cudaGetLastError()); }\n",
    ),
    _call(
        "thc-cuda-check-warn",
        "THCudaCheckWarn($$call)",
        "C10_CUDA_CHECK_WARN($$call)",
        "C10_CUDA_CHECK_WARN",
        "void f(void* p) { THCudaCheckWarn(cudaFree(p)); }\n",
        "void f(void* p) { C10_CUDA_CHECK_WARN(cudaFree(p)); }\n",
    ),
    _call(
        "thc-cublas-check",
        "THCublasCheck($$call)",
        "TORCH_CUDABLAS_CHECK($$call)",
        "TORCH_CUDABLAS_CHECK",
        "void f(cublasHandle_t h) { THCublasCheck(cublasSetStream(h, 0)); }\n",
        "void f(cublasHandle_t h) { TORCH_CUDABLAS_CHECK(cublasSetStream(h, 0)); }\n",
    ),
    _call(
        "thc-malloc",
        "THCudaMalloc($state, $size)",
        "c10::cuda::CUDACachingAllocator::raw_alloc($size)",
        "CUDACachingAllocator",
        "void* f(size_t n) { return THCudaMalloc(state, n * sizeof(float)); }\n",
        "void* f(size_t n) { return c10::cuda::CUDACachingAllocator::raw_alloc(n * sizeof(float)); }\n",
    ),
    _call(
        "thc-free",
        "THCudaFree($state, $pointer)",
        "c10::cuda::CUDACachingAllocator::raw_delete($pointer)",
        "CUDACachingAllocator",
        "void f(void* p) { THCudaFree(state, p); }\n",
        "void f(void* p) { c10::cuda::CUDACachingAllocator::raw_delete(p); }\n",
    ),
    _call(
        "thc-thrust-allocator",
        "THCThrustAllocator $name($$state);",
        "at::cuda::ThrustAllocator $name;",
        "ThrustAllocator",
        "void f() { THCThrustAllocator allocator(state); }\n",
        "void f() { at::cuda::ThrustAllocator allocator; }\n",
    ),
    _call(
        "thc-thrust-allocator-value",
        "THCThrustAllocator($$state)",
        "at::cuda::ThrustAllocator()",
        "ThrustAllocator",
        "void f() { auto allocator = THCThrustAllocator(state); }\n",
        "void f() { auto allocator = at::cuda::ThrustAllocator(); }\n",
    ),
    _call(
        "thc-round-up",
        "THCRoundUp",
        "at::round_up",
        "round_up",
        "int f(int n) { return THCRoundUp(n, 32); }\n",
        "int f(int n) { return at::round_up(n, 32); }\n",
    ),
    Rule(
        id="thc-ceil-div",
        gone=_GONE,
        since="torch 1.11",
        pattern="THCCeilDiv(a, b)",
        replacement="at::ceil_div(a, b)",
        before="dim3 f(long n) { return dim3(std::min(THCCeilDiv(n, 512L), 4096L)); }\n",
        after="dim3 f(long n) { return dim3(std::min<int64_t>(at::ceil_div<int64_t>(n, 512L), 4096L)); }\n",
        untouched=(
            "template <typename T> T THCCeilDiv(T a, T b) { return (a + b - 1) / b; }\n"
            "int f(int n) { return THCCeilDiv(n, 32); }\n",
        ),
        why="With `long` literals the types are spelled out: int64_t is not `long` everywhere.",
        rewrite=_ceil_div,
        emits="ceil_div",
    ),
    Rule(
        id="thcunn-launch-sizes",
        gone=_GONE,
        since="torch 1.5",
        pattern="GET_BLOCKS(n), CUDA_NUM_THREADS with <THCUNN/common.h>; getApplyBlock() with <THC/…>",
        replacement="at::cuda::detail::GET_BLOCKS(n), at::cuda::detail::CUDA_NUM_THREADS; at::cuda::getApplyBlock()",
        before="#include <THCUNN/common.h>\nint f(int n) { return GET_BLOCKS(n); }\n",
        after="#include <THCUNN/common.h>\n#include <ATen/cuda/detail/KernelUtils.h>\n"
        "int f(int n) { return at::cuda::detail::GET_BLOCKS(n); }\n",
        untouched=("int f(int n) { return GET_BLOCKS(n); }\n", "#include <THCUNN/common.h>\n// GET_BLOCKS(n)\n"),
        rewrite=_launch_sizes,
        emits="GET_BLOCKS|getApplyBlock",
    ),
)
