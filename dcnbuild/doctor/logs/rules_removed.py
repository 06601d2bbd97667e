"""Sources that use what torch or CUDA no longer has: the field of `dcnbuild port`."""

from __future__ import annotations

from dcnbuild.doctor.logs.patterns import (
    ASIDE,
    QUOTE,
    missing_header,
    undeclared,
    unresolved,
    words,
)
from dcnbuild.doctor.logs.rule import Hit, LogRule

#: What used to be included or called, and what stands for it today; "" for what is just dropped.
TODAY = {
    "THC/THC.h": "ATen/cuda/CUDAContext.h",
    "THC/THCAtomics.cuh": "ATen/cuda/Atomic.cuh",
    "THC/THCDeviceUtils.cuh": "ATen/cuda/DeviceUtils.cuh",
    "THC/THCNumerics.cuh": "ATen/cuda/NumericLimits.cuh",
    "TH/TH.h": "",
    "THCState": "",
    "lazyInitCUDA": "",
    "THCState_getCurrentStream": "at::cuda::getCurrentCUDAStream()",
    "THCudaCheck": "C10_CUDA_CHECK",
    "THCCeilDiv": "at::ceil_div",
    "THCudaMalloc": "c10::cuda::CUDACachingAllocator::raw_alloc",
    "THCudaFree": "c10::cuda::CUDACachingAllocator::raw_delete",
    "THArgCheck": "TORCH_CHECK",
    "cudaThreadSynchronize": "cudaDeviceSynchronize",
    "__shfl": "__shfl_sync",
    "__shfl_up": "__shfl_up_sync",
    "__shfl_down": "__shfl_down_sync",
    "__shfl_xor": "__shfl_xor_sync",
    "__ballot": "__ballot_sync",
    "__any": "__any_sync",
    "__all": "__all_sync",
    "unary_function": "",
    "binary_function": "",
    "Sum": "cuda::std::plus<>",
    "Max": "cuda::maximum<>",
    "Min": "cuda::minimum<>",
    "texture": "cudaTextureObject_t",
    "cudaBindTexture": "cudaCreateTextureObject",
    "cudaUnbindTexture": "cudaDestroyTextureObject",
}


def today(name: str) -> str:
    """What stands for a removed name today, in brackets; "" where that is not known."""
    return f" (today: {TODAY[name] or 'nothing, drop it'})" if name in TODAY else ""


def port(hit: Hit) -> tuple[str, ...]:
    """The line that rewrites the project, with what it does to the name that was found."""
    name = hit["header"] or hit["name"]
    note = f"  # {name} -> {TODAY[name] or '(dropped)'}" if name in TODAY else ""
    return (f"dcnbuild port {hit['project']}{note}",)


def _header_cause(hit: Hit) -> str:
    return (
        f"{hit['where']} includes {hit['header']}, which torch removed with the TH and THC libraries "
        f"in 1.11{today(hit['header'])}."
    )


def _name_cause(hit: Hit) -> str:
    return (
        f"{hit['where']} uses {hit['name']}, which went with the TH and THC libraries "
        f"(gone since torch 1.11){today(hit['name'])}."
    )


def _cuda_cause(hit: Hit) -> str:
    toolkit = hit.get("toolkit")
    return (
        f"{hit['where']} uses {hit['name']}, which CUDA{' ' + toolkit if toolkit else ''} "
        f"no longer has{today(hit['name'])}."
    )


_TH_NAMES = (
    r"(?:TH(?!CudaCheck\b)(?:C|Cuda|Float|Double|Long|Int|Short|Byte|Char|Half|Bool|Tensor|Blas"
    r"|ArgCheck|Assert|Error|Alloc|Free|Generator|Vector|NN)\w*|lazyInitCUDA)"
)


RULES = (
    LogRule(
        id="thc-headers",
        title="THC headers are gone",
        patterns=missing_header(r"TH[CS]?(?:UNN|NN)?/[\w./-]+\.(?:h|cuh|hpp)"),
        cause=_header_cause,
        fix=lambda hit: (*port(hit), '# or build with the last torch that had them: "torch<1.11"'),
        explains=("thcudacheck", "th-api-removed"),
        example="src/cuda/dcn_v2_cuda.cu:4:10: fatal error: THC/THC.h: No such file or directory",
    ),
    LogRule(
        id="thcudacheck",
        title="THCudaCheck is gone",
        patterns=undeclared("THCudaCheck(?:Warn)?"),
        unless=ASIDE,
        cause=_name_cause,
        fix=port,
        example='dcn_v2_cuda.cu(107): error: identifier "THCudaCheck" is undefined',
    ),
    LogRule(
        id="th-api-removed",
        title="TH and THC functions are gone",
        patterns=(
            *undeclared(_TH_NAMES),
            *unresolved(rf"_?{_TH_NAMES}"),
            ("has no member", rf"has no member(?: named)? {QUOTE}(?P<name>lazyInitCUDA){QUOTE}"),
        ),
        unless=ASIDE,
        cause=_name_cause,
        fix=port,
        example='dcn_v2_cuda.cu(72): error: identifier "THCState_getCurrentStream" is undefined',
    ),
    LogRule(
        id="at-check",
        title="AT_CHECK is gone",
        patterns=undeclared("AT_CHECK"),
        unless=ASIDE,
        cause=lambda hit: f"{hit['where']} uses AT_CHECK, which torch removed in 1.5.",
        fix=("dcnbuild port {project}  # AT_CHECK -> TORCH_CHECK",),
        example="src/vision.cpp:14:3: error: 'AT_CHECK' was not declared in this scope",
    ),
    LogRule(
        id="type-dispatch",
        title="Dispatch over x.type()",
        patterns=(
            (
                "no suitable",
                r"no suitable (?:user-defined )?conversion (?:function )?(?:from|exists)"
                r".{0,80}DeprecatedTypeProperties",
            ),
            (
                "cannot convert",
                r"cannot convert .{0,40}at::DeprecatedTypeProperties.{0,60}ScalarType",
            ),
            ("could not convert", r"could not convert .{0,200}at::DeprecatedTypeProperties"),
            ("no matching function", r"no matching function .{0,80}at::DeprecatedTypeProperties"),
            ("error C2664", r"C2664.{0,200}DeprecatedTypeProperties"),
            ("error C2440", r"C2440.{0,200}DeprecatedTypeProperties"),
        ),
        unless=ASIDE,
        cause=lambda hit: (
            f"{hit['where']} dispatches over x.type(), which AT_DISPATCH macros no longer take "
            "(since torch 2.6)."
        ),
        fix=("dcnbuild port {project}  # AT_DISPATCH_*(x.type(), ...) -> (x.scalar_type(), ...)",),
        example="dcn_v2_cuda.cu(65): error: no suitable conversion function from "
        '"const at::DeprecatedTypeProperties" to "c10::ScalarType" exists',
    ),
    LogRule(
        id="torch-utils-ffi",
        title="torch.utils.ffi is gone",
        patterns=(
            ("Error: torch.utils.ffi", r"ImportError: torch\.utils\.ffi is deprecated"),
            ("No module named", r"No module named '?torch\.utils\.ffi"),
            ("cannot import name", r"ImportError: cannot import name '?create_extension"),
        ),
        cause="The project builds with torch.utils.ffi, which torch removed in 1.0.",
        fix=(
            "dcnbuild port {project}  # says what is left to do: a pybind11 module for the C glue",
        ),
        example="ImportError: torch.utils.ffi is deprecated. Please use cpp extensions instead.",
    ),
    LogRule(
        id="torch-six",
        title="torch._six is gone",
        patterns=(("No module named", r"No module named '?torch\._six"),),
        cause="The project imports torch._six, which torch removed in 2.0.",
        fix=("dcnbuild port {project}  # torch._six -> Python's own names",),
        example="ModuleNotFoundError: No module named 'torch._six'",
    ),
    LogRule(
        id="legacy-autograd",
        title="Autograd function without staticmethod",
        patterns=(
            (
                "Error: Legacy autograd function",
                r"Legacy autograd function with non-static forward method is deprecated",
            ),
        ),
        unless=r"Warning",
        cause="An autograd.Function of the project has a non-static forward, which torch has "
        "refused since 1.5.",
        fix=("dcnbuild port {project}  # forward(self, ...) -> @staticmethod forward(ctx, ...)",),
        example="RuntimeError: Legacy autograd function with non-static forward method is "
        "deprecated. Please use new-style autograd function with static forward method.",
    ),
    LogRule(
        id="cuda-api-removed",
        title="CUDA function is gone",
        patterns=(
            *undeclared(
                words(
                    *("cudaThreadSynchronize", "cudaThreadExit", "cudaBindTexture", "texture"),
                    *(
                        "cudaUnbindTexture",
                        "cudaMemcpyToArray",
                        "cudaMemcpyFromArray",
                        "tex1Dfetch",
                    ),
                    *("__shfl", "__shfl_up", "__shfl_down", "__shfl_xor", "__ballot", "__any"),
                    *("__all", "cusparseScsrmm2", "cusparseDcsrmm2", "cublasSetKernelStream"),
                )
            ),
            ("texture is not a template", r"(?P<name>texture) is not a template"),
            (
                "has no member",
                rf"(?:namespace|class) {QUOTE}(?:thrust|cub|cudaDeviceProp){QUOTE} has no member "
                rf"(?:class |template )?{QUOTE}(?P<name>\w+){QUOTE}",
            ),
        ),
        unless=ASIDE,
        cause=_cuda_cause,
        fix=lambda hit: (*port(hit), "# or build with the CUDA release the project was made for"),
        example='kernel.cu(31): error: identifier "cudaThreadSynchronize" is undefined',
    ),
    LogRule(
        id="atomicadd-redefined",
        title="Own atomicAdd clashes with CUDA's",
        patterns=(
            (
                "has already been defined",
                rf"function {QUOTE}(?P<name>atomicAdd\([^)]{{1,40}}\)).{{0,200}}"
                "has already been defined",
            ),
            (
                "cannot overload",
                r"(?P<name>atomicAdd\([^)]{1,40}\)).{0,40}cannot overload",
            ),
        ),
        unless=ASIDE,
        cause=lambda hit: (
            f"{hit['where']} defines {hit['name']} itself, which CUDA already has for sm_60 and newer."
        ),
        fix=("dcnbuild port {project}  # puts a __CUDA_ARCH__ guard around it",),
        example='kernel.cu(12): error: function "atomicAdd(double *, double)" '
        "has already been defined",
    ),
)
