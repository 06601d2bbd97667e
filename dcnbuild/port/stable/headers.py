"""#include lines: torch/extension.h, ATen and c10 go, what the new names need comes in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.port import includes
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, newline_of
from dcnbuild.port.layout import Include
from dcnbuild.port.rule import Scope, entries, rewrites

UNSTABLE = re.compile(
    r"(?:ATen|c10|pybind11|caffe2)/.*|torch/(?!headeronly/|csrc/stable/|csrc/inductor/aoti_torch/).*|THC?/.*"
)
_STABLE, _HEADERONLY = "torch/csrc/stable/", "torch/headeronly/"
#: Name behind torch::stable:: or torch::headeronly::, or a macro → its header.
#: Source: the headers of torch 2.10 to 2.14.
_NAMES: dict[str, str] = {
    **dict.fromkeys(("STABLE_TORCH_LIBRARY", "STABLE_TORCH_LIBRARY_FRAGMENT"), _STABLE + "library.h"),
    **dict.fromkeys(("STABLE_TORCH_LIBRARY_IMPL", "TORCH_BOX"), _STABLE + "library.h"),
    **dict.fromkeys(("STD_CUDA_CHECK", "STD_CUDA_KERNEL_LAUNCH_CHECK"), _STABLE + "macros.h"),
    "DeviceGuard": _STABLE + "accelerator.h",
    "getCurrentDeviceIndex": _STABLE + "accelerator.h",
    "STD_TORCH_CHECK": _HEADERONLY + "util/Exception.h",
    "THO_DISPATCH_V2": _HEADERONLY + "core/Dispatch_v2.h",
    **dict.fromkeys(("THO_DISPATCH_SWITCH", "THO_DISPATCH_CASE"), _HEADERONLY + "core/Dispatch.h"),
    "gpuAtomicAdd": _HEADERONLY + "cuda/Atomic.h",
}
_QUALIFIED: dict[str, str] = {
    "stable::Tensor": _STABLE + "tensor.h",
    "stable::Device": _STABLE + "device.h",
    "headeronly::ScalarType": _HEADERONLY + "core/ScalarType.h",
    "headeronly::toString": _HEADERONLY + "core/ScalarType.h",
    "headeronly::CppTypeToScalarType": _HEADERONLY + "core/ScalarType.h",
    "headeronly::DeviceType": _HEADERONLY + "core/DeviceType.h",
    "headeronly::Layout": _HEADERONLY + "core/Layout.h",
    "headeronly::MemoryFormat": _HEADERONLY + "core/MemoryFormat.h",
    "headeronly::Half": _HEADERONLY + "util/Half.h",
    "headeronly::BFloat16": _HEADERONLY + "util/BFloat16.h",
    "headeronly::complex": _HEADERONLY + "util/complex.h",
    "headeronly::IntHeaderOnlyArrayRef": _HEADERONLY + "util/HeaderOnlyArrayRef.h",
    "headeronly::HeaderOnlyArrayRef": _HEADERONLY + "util/HeaderOnlyArrayRef.h",
    "headeronly::HeaderOnlyTensorAccessor": _HEADERONLY + "core/TensorAccessor.h",
    "headeronly::HeaderOnlyGenericPackedTensorAccessor": _HEADERONLY + "core/TensorAccessor.h",
    "headeronly::RestrictPtrTraits": _HEADERONLY + "core/TensorAccessor.h",
    "headeronly::DefaultPtrTraits": _HEADERONLY + "core/TensorAccessor.h",
}
#: Names of the standard library and of CUDA that torch's headers brought in.
_STANDARD: tuple[tuple[str, str], ...] = (
    (r"std::(?:min|max|sort|fill|copy|swap|clamp|transform)", "algorithm"),
    (r"std::array", "array"),
    (r"assert", "cassert"),
    (r"FLT_(?:MAX|MIN|EPSILON)|DBL_MAX", "cfloat"),
    (r"INT_(?:MAX|MIN)|LONG_MAX", "climits"),
    (r"(?:std::)?(?:sqrtf?|floorf?|ceilf?|expf?|powf?|fabsf?|logf?|round|pow|isnan)", "cmath"),
    (r"u?int(?:8|16|32|64)_t", "cstdint"),
    (r"(?:f|s|sn)?printf|stderr", "cstdio"),
    (r"malloc|free|exit|calloc|atoi", "cstdlib"),
    (r"memcpy|memset|strlen|strcmp|std::memcpy", "cstring"),
    (r"std::function|std::hash|std::greater|std::less", "functional"),
    (r"std::(?:cout|cerr|endl)", "iostream"),
    (r"std::numeric_limits", "limits"),
    (r"std::(?:unique_ptr|shared_ptr|make_unique|make_shared)", "memory"),
    (r"std::map", "map"),
    (r"std::mutex|std::lock_guard", "mutex"),
    (r"std::accumulate|std::iota", "numeric"),
    (r"std::optional|std::nullopt", "optional"),
    (r"std::(?:stringstream|ostringstream)", "sstream"),
    (r"std::(?:runtime_error|invalid_argument|logic_error)", "stdexcept"),
    (r"std::(?:string|to_string)", "string"),
    (r"std::(?:tuple|make_tuple|tie|get)", "tuple"),
    (r"std::(?:is_same|enable_if|conditional)(?:_v|_t)?", "type_traits"),
    (r"std::(?:pair|make_pair|move|forward)", "utility"),
    (r"std::unordered_map", "unordered_map"),
    (r"std::vector", "vector"),
    (r"cuda(?:Stream|Error)_t|cudaGetLastError|cudaDeviceProp|dim3|cuda[A-Z]\w+", "cuda_runtime.h"),
    (r"cublas\w+", "cublas_v2.h"),
)
_CUDA = frozenset({"cuda_runtime.h", "cublas_v2.h"})
_OTHER_NAMES = {"cassert": "assert.h", "cfloat": "float.h", "cmath": "math.h", "cstdio": "stdio.h"} | {
    "cstdlib": "stdlib.h",
    "cstring": "string.h",
    "climits": "limits.h",
    "cstdint": "stdint.h",
    "cuda_runtime.h": "cuda_runtime_api.h",
}


def needed(code: Code, suffix: str, own: frozenset[str]) -> list[str]:
    """The headers that the names of a text need: the stable ABI's, then the standard library's."""
    found: dict[str, None] = {}
    used: set[str] = set()
    always: set[str] = set()  # under no #if
    for stream, index in code.names(r"\w+"):
        text = stream[index].text
        behind = stream[index - 1].text if index else ""
        if behind == "::" and index > 1:
            space = stream[index - 2].text
            full = f"{space}::{text}"
            used.add(full if space == "std" else "")
            if full in _QUALIFIED:
                found[_QUALIFIED[full]] = None
            elif space == "stable" and text.islower() and stream.follows(index, "("):
                found[_STABLE + "ops.h"] = None
        elif behind not in (".", "->"):
            used.add(text)
            if text.startswith(("cu", "dim3")) and not code.layout.path_at(stream[index].start):
                always.add(text)
        if text in _NAMES and text not in own:
            found[_NAMES[text]] = None
    standard = [
        header
        for names, header in _STANDARD
        if any(map(re.compile(names).fullmatch, always if header in _CUDA else used))
        and not (header == "cuda_runtime.h" and suffix in (".cu", ".cuh"))
    ]
    return [*sorted(found), *standard]


def _unstable(code: Code, own_headers: frozenset[str]) -> Iterator[Include]:
    for include in code.layout.includes:
        header = include.name
        kept = header in own_headers or (header.startswith("pybind11/") and _binds(code))
        if UNSTABLE.fullmatch(header) and not kept:
            yield include


def _binds(code: Code) -> bool:
    """Whether a text still uses pybind11."""
    return any(True for _ in code.names("PYBIND11_MODULE|py|pybind11|TORCH_LIBRARY"))


def rewrite_stable_include(code: Code, scope: Scope) -> Iterable[Edit]:
    old = list(_unstable(code, scope.own_headers))
    if not old:
        return
    there = {i.name for i in code.layout.includes} - {i.name for i in old}
    wanted = [
        header
        for header in needed(code, scope.suffix, scope.own)
        if not {header, _OTHER_NAMES.get(header, header)} & there
    ]
    if _binds(code):
        wanted.insert(0, "torch/extension.h")
    newline = newline_of(code.text)
    lines = "".join(f"#include <{header}>{newline}" for header in wanted)
    plain = next((i for i in old if not i.path), None)
    kept: set[int] = set()
    for one in old:
        new = lines if one is plain else ""
        if one.path and "/cuda/" in one.header and scope.suffix not in (".cu", ".cuh"):
            if one.path[-1].start not in kept:  # the build without CUDA has no header of it
                new = f"#include <cuda_runtime.h>{newline}"
            kept.add(one.path[-1].start)
        yield Edit(one.directive.start, one.directive.end, new)


def missing(code: Code, scope: Scope) -> Edit | None:
    """The edit that includes the first header that a text still lacks; None if it lacks none."""
    there = {i.name for i in code.layout.includes}
    stable = (_STABLE, _HEADERONLY)
    for header in needed(code, scope.suffix, scope.own):
        if header not in there and header.startswith(stable):
            return include(code, header)
    return None


def include(code: Code, header: str) -> Edit:
    """The edit that includes a header, under no condition: behind the last such line before the code."""
    before = code.functions[0].start if code.functions else len(code.text)
    plain = [
        i.directive
        for i in code.layout.includes
        if not i.path and i.directive.start < before and not includes.nested(code, i)
    ]
    at = plain[-1].end if plain else includes.top_of(code)
    newline = newline_of(code.text)
    start = "" if not at or code.text[at - 1] in "\r\n" else newline
    return Edit(at, at, f"{start}#include <{header}>{newline}")


RULES = entries(__file__, rewrites(globals()))
