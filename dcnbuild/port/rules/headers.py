"""Headers that are gone, and what takes their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from dcnbuild.base.plain_yaml import shipped
from dcnbuild.port import includes
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, whole_line
from dcnbuild.port.layout import Include
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.source import COMPILED_SUFFIXES

#: Headers of THC, and of ATen and c10, that are gone → what has their place.
_TABLES = shipped(Path(__file__).with_name("moved_headers.yaml"))
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
            (include, _TABLES["thc"].get(include.header[1:-1], _CUDA_CONTEXT))
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
    return _replace(code, [(include, None) for include in _includes(code, scope, _TH.pattern)])


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


RULES = entries(
    __file__,
    {
        "thc-header": _thc,
        "thc-forwarder": _by_table({header: _TABLES["thc"][header] for header in _FORWARDERS}),
        "th-header": _th,
        "moved-header": _by_table(_TABLES["moved"]),
        "cuda-apply-utils": _apply_utils,
        "missing-header": _missing,
        "torch-extension-header": _extension,
    },
)
