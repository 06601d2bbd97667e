"""Headers that are gone, and what takes their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port import includes
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, whole_line
from dcnbuild.port.rule import Rewrite, Scope, entries, rewrites
from dcnbuild.port.source import COMPILED_SUFFIXES

#: Headers of THC, and of ATen and c10, that are gone → what has their place.
_TABLES = beside(__file__, "moved_headers.yaml")
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


def is_torch_h(header: str) -> bool:
    """Whether a header (without brackets) is one of TH's or THC's."""
    return bool(_THC.fullmatch(header) or _TH.fullmatch(header))


def _replacing(wanted: str, header: Callable[[str], str | None]) -> Rewrite:
    """The rewrite that puts another header into each line with torch's header of such a name.

    The line goes where `header` says None, or what is included already. What the project has itself is its own.
    """
    expression = re.compile(wanted)

    def rewrite(code: Code, scope: Scope) -> Iterable[Edit]:
        there = {other.name for other in code.layout.includes if not other.path}
        for include in code.layout.includes:
            if not expression.fullmatch(include.name) or include.name in scope.own_headers:
                continue
            token, new = include.directive.tokens[0], header(include.name)
            if new is None or new in there:
                yield Edit(*whole_line(code.text, code.text.rindex("#", 0, token.start), token.end), "")
            else:
                yield Edit(token.start, token.end, f"<{new}>")
                if not include.path:
                    there.add(new)

    return rewrite


def _by_table(table: Mapping[str, str]) -> Rewrite:
    """The rewrite that puts each header of a table in another's place."""
    return _replacing("|".join(map(re.escape, table)), table.get)


def rewrite_cuda_apply_utils(code: Code, scope: Scope) -> Iterable[Edit]:
    """ATen/cuda/CUDAApplyUtils.cuh where only its atomics are used."""
    rewrite = _by_table({"ATen/cuda/CUDAApplyUtils.cuh": "ATen/cuda/Atomic.cuh"})
    return rewrite(code, scope) if code.has(_ATOMICS) and not code.has(_APPLY) else ()


def rewrite_th_header(code: Code, scope: Scope) -> Iterable[Edit]:
    """TH.h stood before the project's headers, which lean on what it brought: that of tensors takes its place."""
    wanted = includes.missing(code, "Tensor", scope.headers, False)
    return _replacing(_TH.pattern, lambda header: wanted[0][0] if wanted else None)(code, scope)


def rewrite_torch_extension_header(code: Code, scope: Scope) -> Iterable[Edit]:
    """torch/torch.h in a file that binds Python, with nothing else that brings pybind11."""
    there = any(re.fullmatch(_PYBIND, header) for header in scope.headers | code.headers)
    binds = code.has("PYBIND11_MODULE|TORCH_EXTENSION_NAME|pybind11")
    return _by_table({"torch/torch.h": "torch/extension.h"})(code, scope) if binds and not there else ()


#: Headers that do not bring those of torch's CUDA side.
_WITHOUT_CUDA = re.compile(
    r"torch/(?:extension|torch|all|types|script|library|python)\.h|ATen/(?:ATen|Dispatch|Functions|Tensor)\.h"
    r"|(?:c10/(?:util|core|macros)|cub|thrust|pybind11|sys)/.*|(?:cuda|cublas|curand|driver_types|vector_)\w*\.\w+"
    r"|math_constants\.h|device_launch_parameters\.h|[a-z]\w*|(?:math|std\w+|time|float|limits|assert|string)\.h"
)
#: Names of torch's CUDA side that files used to get from torch/extension.h or THC.h.
_CUDA_NAMES = r"getCurrentCUDAStream|CUDAGuard|OptionalCUDAGuard|C10_CUDA_\w+|AT_CUDA_CHECK"


#: Headers of C and CUDA that bring none of C's that CUDA's own brought long ago, and those.
_BARE = re.compile(
    r"cuda(?:_runtime|_runtime_api|_fp16)?\.h|math_constants\.h|device_launch_parameters\.h|vector_types\.h"
    r"|(?:c|(?=\w+\.h\Z))(?:math|float|assert|limits|stdio|stdlib|string|time|stdint)(?:\.h)?"
)
_BROUGHT = ("cstdio", "cfloat", "cassert")


def rewrite_missing_header(code: Code, scope: Scope) -> Iterable[Edit]:
    """Names of torch's CUDA side, and of C, in a source whose headers are all known not to bring them."""
    others = [header for header in scope.headers | code.headers if header not in scope.own_headers]
    if scope.suffix == ".cu" and all(map(_BARE.fullmatch, others)):
        for header, first in includes.missing(code, "", scope.headers, True):
            if header in _BROUGHT:
                yield includes.add(code, header, first)
    elif scope.suffix in COMPILED_SUFFIXES and code.has(_CUDA_NAMES) and all(map(_WITHOUT_CUDA.fullmatch, others)):
        for header, first in includes.missing(code, _CUDA_NAMES, scope.headers, False)[:1]:
            yield includes.add(code, header, first)


rewrite_thc_header = _replacing(
    rf"(?!(?:{'|'.join(map(re.escape, _FORWARDERS))})\Z)(?:{_THC.pattern})",
    lambda header: _TABLES["thc"].get(header, _CUDA_CONTEXT),
)
rewrite_thc_forwarder = _by_table({header: _TABLES["thc"][header] for header in _FORWARDERS})
rewrite_moved_header = _by_table(_TABLES["moved"])
RULES = entries(__file__, rewrites(globals()))
