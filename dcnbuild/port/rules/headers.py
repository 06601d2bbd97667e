"""Headers that are gone, and what takes their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from dcnbuild.port import includes
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, whole_line
from dcnbuild.port.layout import Include
from dcnbuild.port.rule import Rule, Scope
from dcnbuild.port.source import COMPILED_SUFFIXES

#: Header → what takes its place. Source: the files of torch 1.10's include/TH and include/THC, and
#: of torch 2.14.1's include.
REPLACEMENTS = {
    "THC/THCThrustAllocator.cuh": "ATen/cuda/ThrustAllocator.h",
    "THC/THCCachingAllocator.h": "c10/cuda/CUDACachingAllocator.h",
    "THC/THCCachingHostAllocator.h": "ATen/cuda/CachingHostAllocator.h",
    "THC/THCAtomics.cuh": "ATen/cuda/Atomic.cuh",
    "THC/THCDeviceUtils.cuh": "ATen/cuda/DeviceUtils.cuh",
}
#: Any other header of THC: it brought in the stream, the device properties and the cuBLAS handle.
_CUDA_CONTEXT = "ATen/cuda/CUDAContext.h"
_THC = re.compile(r"(?:THC|THCUNN|THCS)/.*|THC(?:General|Blas|Tensor)?\.h")
_TH = re.compile(r"(?:TH|THNN|THS)/.*|TH(?:General|Blas|Tensor)?\.h")
#: These still stand in torch 2.14.1 as forwarders.
_FORWARDERS = frozenset({"THC/THCAtomics.cuh", "THC/THCDeviceUtils.cuh"})
#: What ATen/cuda/CUDAApplyUtils.cuh is there for; without them only its atomics are meant.
_APPLY = (
    r"CUDA_tensor_apply\w*|getApply\w+|(?:get)?TensorInfo|canUse32BitIndexMath|IndexToOffset"
    r"|ceil_div|ATenCeilDiv|TensorArg\w*|AT_APPLY_\w+"
)
_ATOMICS = r"atomicAdd|gpuAtomicAdd\w*|fastAtomicAdd|atomicMin|atomicMax|AtomicFPOp|AtomicAdd\w*"
_PYBIND = r"torch/(?:extension|python|csrc/utils/pybind)\.h|pybind11/.*"


#: Headers of ATen and c10 that moved. Source: torch 0.4.1 to 1.13 against torch 2.14.1's include.
_CUDA_GENERATOR = "ATen/cuda/CUDAGeneratorImpl.h"
_C10D = (
    *("Backend", "FileStore", "HashStore", "NCCLUtils", "ParamCommsUtils", "PrefixStore", "ProcessGroup", "Store"),
    *("ProcessGroupGloo", "ProcessGroupMPI", "ProcessGroupNCCL", "ProcessGroupUCC", "TCPStore", "Types", "Utils"),
    *("UnixSockUtils", "WinSockUtils", "comm", "default_comm_hooks", "logger", "reducer"),
)
MOVED = {
    "ATen/cuda/CUDAGuard.h": "c10/cuda/CUDAGuard.h",
    "ATen/cuda/CUDAMultiStreamGuard.h": "c10/cuda/CUDAGuard.h",
    "ATen/cuda/CUDAStream.h": "c10/cuda/CUDAStream.h",
    "ATen/cuda/CUDACachingAllocator.h": "c10/cuda/CUDACachingAllocator.h",
    "ATen/CUDAGenerator.h": _CUDA_GENERATOR,
    "ATen/CUDAGeneratorImpl.h": _CUDA_GENERATOR,
    "ATen/CPUGenerator.h": "ATen/CPUGeneratorImpl.h",
    "ATen/cuda/Array.h": "ATen/core/Array.h",
    "ATen/cuda/AccumulateType.cuh": "ATen/AccumulateType.h",
    "ATen/cuda/CUDAHalf.cuh": "c10/util/Half.h",
    **dict.fromkeys(("ATen/Half.h", "ATen/core/Half.h"), "c10/util/Half.h"),
    **dict.fromkeys(("ATen/Error.h", "ATen/core/Error.h"), "c10/util/Exception.h"),
    **dict.fromkeys(("ATen/optional.h", "ATen/core/optional.h"), "c10/util/Optional.h"),
    "ATen/core/ArrayRef.h": "c10/util/ArrayRef.h",
    "ATen/core/Backend.h": "c10/core/Backend.h",
    "ATen/core/TensorOptions.h": "c10/core/TensorOptions.h",
    "ATen/core/TensorMethods.h": "ATen/core/Tensor.h",
    "torch/linalg.h": "ATen/Functions.h",
    **dict.fromkeys(("ATen/ParallelNativeTBB.h", "ATen/CPUGeneral.h"), "ATen/Parallel.h"),
    **{f"c10d/{name}.hpp": f"torch/csrc/distributed/c10d/{name}.hpp" for name in _C10D},
    **dict.fromkeys(("ATen/Type.h", "ATen/core/Type.h"), "ATen/core/DeprecatedTypeProperties.h"),
}


def is_torch_h(header: str) -> bool:
    """Whether a header (without brackets) is one of TH's or THC's."""
    return bool(_THC.fullmatch(header) or _TH.fullmatch(header))


def _includes(code: Code, scope: Scope, wanted: str) -> list[Include]:
    """The includes of torch's headers of such a name; what the project has itself is its own."""
    expression = re.compile(wanted)
    return [
        include
        for include in code.layout.includes
        if expression.fullmatch(include.header[1:-1]) and include.header[1:-1] not in scope.own_headers
    ]


def _replace(code: Code, lines: Iterable[tuple[Include, str | None]]) -> Iterator[Edit]:
    """Another header in each of these lines, or no line at all where that is included already."""
    there = {other.header[1:-1] for other in code.layout.includes if not other.path}
    for include, header in lines:
        token = include.directive.tokens[0]
        if header is None or header in there:
            first = code.text.rindex("#", 0, token.start)
            yield Edit(*whole_line(code.text, first, token.end), "")
        else:
            yield Edit(token.start, token.end, f"<{header}>")
            if not include.path:
                there.add(header)


def _thc(code: Code, scope: Scope) -> Iterable[Edit]:
    return _replace(
        code,
        [
            (include, REPLACEMENTS.get(include.header[1:-1], _CUDA_CONTEXT))
            for include in _includes(code, scope, _THC.pattern)
            if include.header[1:-1] not in _FORWARDERS
        ],
    )


def _by_table(table: Mapping[str, str]) -> Callable[[Code, Scope], Iterable[Edit]]:
    """The rewrite that puts each header of a table in another's place."""

    def rewrite(code: Code, scope: Scope) -> Iterable[Edit]:
        found = _includes(code, scope, "|".join(map(re.escape, table)))
        return _replace(code, [(include, table[include.header[1:-1]]) for include in found])

    return rewrite


def _th(code: Code, scope: Scope) -> Iterable[Edit]:
    """TH.h stood before the project's headers, which lean on what it brought: that of tensors takes its place."""
    found = _includes(code, scope, _TH.pattern)
    wanted = [header for header, _ in includes.missing(code, "Tensor", scope.headers, False)]
    return _replace(code, [(include, next(iter(wanted), None)) for include in found])


def _apply_utils(code: Code, scope: Scope) -> Iterable[Edit]:
    if any(True for _ in code.names(_APPLY)) or not any(True for _ in code.names(_ATOMICS)):
        return
    found = _includes(code, scope, r"ATen/cuda/CUDAApplyUtils\.cuh")
    yield from _replace(code, [(include, "ATen/cuda/Atomic.cuh") for include in found])


def _extension(code: Code, scope: Scope) -> Iterable[Edit]:
    """torch/torch.h in a file that binds Python, with nothing else that brings pybind11."""
    if not any(True for _ in code.names("PYBIND11_MODULE|TORCH_EXTENSION_NAME|pybind11")):
        return
    there = {include.header[1:-1] for include in code.layout.includes} | scope.headers
    if any(re.fullmatch(_PYBIND, header) for header in there):
        return
    found = _includes(code, scope, r"torch/torch\.h")
    yield from _replace(code, [(include, "torch/extension.h") for include in found])


#: Headers that do not bring those of torch's CUDA side.
_WITHOUT_CUDA = re.compile(
    r"torch/(?:extension|torch|all|types|script|library|python)\.h|ATen/(?:ATen|Dispatch|Functions|Tensor)\.h"
    r"|(?:c10/(?:util|core|macros)|cub|thrust|pybind11|sys)/.*|(?:cuda|cublas|curand|driver_types|vector_)\w*\.\w+"
    r"|math_constants\.h|device_launch_parameters\.h|[a-z]\w*|(?:math|std\w+|time|float|limits|assert|string)\.h"
)
#: Names of torch's CUDA side that files used to get from torch/extension.h or THC.h.
_CUDA_NAMES = r"getCurrentCUDAStream|CUDAGuard|OptionalCUDAGuard|C10_CUDA_\w+|AT_CUDA_CHECK"


def _missing(code: Code, scope: Scope) -> Iterable[Edit]:
    """Names of torch's CUDA side in a source whose headers are all known not to bring them."""
    if scope.suffix not in COMPILED_SUFFIXES or not any(True for _ in code.names(_CUDA_NAMES)):
        return
    seen = scope.headers | {include.header[1:-1] for include in code.layout.includes}
    if not all(h in scope.own_headers or _WITHOUT_CUDA.fullmatch(h) for h in seen):
        return
    for header, first in includes.missing(code, _CUDA_NAMES, scope.headers, False)[:1]:
        yield includes.add(code, header, first)


RULES = (
    Rule(
        id="thc-header",
        gone="torch 1.11",
        since="torch 1.0",
        pattern="#include <THC/THC.h>, and the other headers of THC and THCUNN",
        replacement="#include <ATen/cuda/CUDAContext.h>, or nothing where it is there already",
        before="#include <THC/THC.h>\n#include <THC/THCGeneral.h>\n\nvoid f();\n",
        after="#include <ATen/cuda/CUDAContext.h>\n\nvoid f();\n",
        untouched=(
            '#include "THCMine.h"\n#include "THCudaThings.h"\n',
            "#if __has_include(<THC/THC.h>)\n#include <THC/THC.h>\n#endif\n",
            "#if TORCH_VERSION_MAJOR < 2\n#include <THC/THC.h>\n#endif\n",
        ),
        why="THC.h also brought in other headers; those whose names the file uses are added.",
        rewrite=_thc,
    ),
    Rule(
        id="thc-forwarder",
        need="deprecated",
        gone="forwarders since torch 1.11",
        since="torch 1.10",
        pattern="#include <THC/THCAtomics.cuh>, <THC/THCDeviceUtils.cuh>",
        replacement="#include <ATen/cuda/Atomic.cuh>, <ATen/cuda/DeviceUtils.cuh>",
        before="#include <THC/THCAtomics.cuh>\n",
        after="#include <ATen/cuda/Atomic.cuh>\n",
        untouched=('const char* s = "#include <THC/THCAtomics.cuh>";\n',),
        rewrite=_by_table({header: REPLACEMENTS[header] for header in _FORWARDERS}),
    ),
    Rule(
        id="th-header",
        gone="torch 1.11",
        pattern="#include <TH/TH.h>, and the other headers of TH and THNN",
        replacement="nothing",
        before="#include <TH/TH.h>\n#include <ATen/ATen.h>\n",
        after="#include <ATen/ATen.h>\n",
        untouched=('#include "THreads.h"\n',),
        rewrite=_th,
    ),
    Rule(
        id="moved-header",
        gone="after torch 0.4 to 1.13, not in torch 2.14.1",
        since="torch 1.8",
        pattern="#include <ATen/cuda/CUDAGuard.h>, <ATen/Type.h>, <ATen/Error.h>, <c10d/ProcessGroup.hpp>, …",
        replacement="where their contents are today",
        before="#include <ATen/core/Half.h>\n#include <c10d/Types.hpp>\n",
        after="#include <c10/util/Half.h>\n#include <torch/csrc/distributed/c10d/Types.hpp>\n",
        untouched=("#include <ATen/cuda/CUDAContext.h>\n#include <ATen/Dispatch.h>\n",),
        rewrite=_by_table(MOVED),
    ),
    Rule(
        id="cuda-apply-utils",
        need="deprecated",
        gone="internal",
        since="torch 1.10",
        pattern="#include <ATen/cuda/CUDAApplyUtils.cuh>",
        replacement="#include <ATen/cuda/Atomic.cuh>",
        before="#include <ATen/cuda/CUDAApplyUtils.cuh>\n__device__ void f(float* p) { atomicAdd(p, 1.f); }\n",
        after="#include <ATen/cuda/Atomic.cuh>\n__device__ void f(float* p) { atomicAdd(p, 1.f); }\n",
        untouched=(
            "#include <ATen/cuda/CUDAApplyUtils.cuh>\n"
            "void f(Tensor x) { at::cuda::CUDA_tensor_apply1<float>(x, Fill()); }\n",
            "#include <ATen/cuda/CUDAApplyUtils.cuh>\n__device__ void f(float* p) { atomicAdd(p, 1.f); }\n"
            "int n = at::cuda::ATenCeilDiv(3, 2);\n",
        ),
        why="Only where nothing of it but the atomics is used.",
        rewrite=_apply_utils,
    ),
    Rule(
        id="missing-header",
        gone="torch 1.11, whose torch/extension.h brings nothing of CUDA",
        since="torch 1.1",
        pattern="at::cuda::getCurrentCUDAStream(), CUDAGuard, AT_CUDA_CHECK, … without their header",
        replacement="#include <ATen/cuda/CUDAContext.h>, <c10/cuda/CUDAGuard.h>, …",
        before="#include <torch/extension.h>\ncudaStream_t f() { return at::cuda::getCurrentCUDAStream(); }\n",
        after="#include <torch/extension.h>\n#include <ATen/cuda/CUDAContext.h>\n"
        "cudaStream_t f() { return at::cuda::getCurrentCUDAStream(); }\n",
        untouched=(
            "#include <torch/extension.h>\n#include <c10/cuda/CUDAStream.h>\n"
            "cudaStream_t f() { return at::cuda::getCurrentCUDAStream(); }\n",
            "#include <torch/extension.h>\n#include <other/library.h>\n"
            "cudaStream_t f() { return at::cuda::getCurrentCUDAStream(); }\n",
        ),
        why="Only where every header that the source includes is known not to bring them.",
        rewrite=_missing,
    ),
    Rule(
        id="torch-extension-header",
        need="deprecated",
        gone="needs a macro that only torch's own builds define",
        since="torch 1.0",
        pattern="#include <torch/torch.h> in a file with PYBIND11_MODULE",
        replacement="#include <torch/extension.h>",
        before="#include <torch/torch.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n",
        after="#include <torch/extension.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n",
        untouched=(
            "#include <torch/torch.h>\nat::Tensor f();\n",
            "#include <torch/torch.h>\n#include <pybind11/pybind11.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n",
        ),
        why="torch/torch.h brings pybind11 only with TORCH_API_INCLUDE_EXTENSION_H.",
        rewrite=_extension,
    ),
)
