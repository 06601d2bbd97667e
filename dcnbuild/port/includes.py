"""Adds the headers of the names that rules bring in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, line_start, newline_of
from dcnbuild.port.layout import Directive, Include, guard_lines

#: Name → (its header, other headers that bring it too, as a regular expression).
#: Source: the headers of torch 2.14.1.
_TORCH = r"torch/(?:extension|torch|all|types|script|library|python|autograd)\.h"
SYMBOLS: dict[str, tuple[str, str]] = {
    r"TORCH_CHECK|TORCH_CHECK_INDEX|TORCH_INTERNAL_ASSERT|TORCH_WARN": (
        "c10/util/Exception.h",
        rf"{_TORCH}|ATen/.*|c10/cuda/.*|c10/core/.*|torch/csrc/.*",
    ),
    r"Tensor": ("torch/extension.h", rf"{_TORCH}|ATen/ATen\.h|ATen/(?:core/)?Tensor\.h"),
    r"TORCH_D?CHECK_(?:EQ|NE|LT|LE|GT|GE|NOTNULL)": ("c10/util/Logging.h", rf"{_TORCH}|ATen/.*"),
    r"get(?:Current)?DeviceProperties|getCurrentCUDA(?:Blas|Sparse)Handle|cublas\w+": (
        "ATen/cuda/CUDAContext.h",
        r"ATen/cuda/CUDA(?:ApplyUtils\.cuh|Event\.h)",
    ),
    r"getCurrentCUDAStream": (
        "ATen/cuda/CUDAContext.h",
        r"ATen/cuda/CUDA(?:ApplyUtils\.cuh|Event\.h)|c10/cuda/CUDA(?:Stream|Guard|Event)\.h",
    ),
    r"AT_CUDA_CHECK": ("ATen/cuda/Exceptions.h", r"ATen/cuda/.*"),
    r"C10_CUDA_CHECK|C10_CUDA_CHECK_WARN|C10_CUDA_KERNEL_LAUNCH_CHECK": (
        "c10/cuda/CUDAException.h",
        r"ATen/cuda/CUDAContext\.h|ATen/cuda/Exceptions\.h|c10/cuda/CUDA(?:Guard|Stream)\.h",
    ),
    r"TORCH_CUDABLAS_CHECK": ("ATen/cuda/Exceptions.h", r"ATen/cuda/CUDAContext\.h"),
    r"ceil_div|round_up": ("ATen/ceil_div.h", r"ATen/cuda/CUDAApplyUtils\.cuh"),
    r"device_count": ("c10/cuda/CUDAFunctions.h", r"ATen/cuda/CUDAContext\.h|c10/cuda/CUDA\w+\.h"),
    r"DeprecatedTypeProperties": (
        "ATen/core/DeprecatedTypeProperties.h",
        rf"{_TORCH}|ATen/ATen\.h|ATen/core/Tensor\.h",
    ),
    r"CUDA_KERNEL_LOOP|GET_BLOCKS": ("ATen/cuda/detail/KernelUtils.h", r"(?!)"),
    r"getApplyBlock|getApplyGrid": (
        "ATen/cuda/CUDAApplyUtils.cuh",  # whose ApplyGridUtils.cuh has no guard: it may come once
        r"(?!)",
    ),
    r"CUDAGeneratorImpl": ("ATen/cuda/CUDAGeneratorImpl.h", r"(?!)"),
    r"numeric_limits": ("ATen/cuda/NumericLimits.cuh", r"(?!)"),
    r"plus|minus|divides|equal_to|not_equal_to|identity": ("cuda/std/functional", r"(?!)"),
    **{
        name: (f"thrust/iterator/{name}.h", r"(?!)")
        for name in (*("counting_iterator", "constant_iterator", "discard_iterator", "transform_iterator"),)
    },
    r"maximum|minimum": ("cuda/functional", r"(?!)"),
    r"get_sreg_laneid": ("cuda/ptx", r"(?!)"),
    r"CUDACachingAllocator": ("c10/cuda/CUDACachingAllocator.h", r"(?!)"),
    r"ThrustAllocator": ("ATen/cuda/ThrustAllocator.h", r"(?!)"),
    r"OptionalCUDAGuard|CUDAGuard": ("c10/cuda/CUDAGuard.h", r"ATen/cuda/CUDAGuard\.h"),
    r"scalar_to_tensor": ("ATen/ScalarOps.h", rf"{_TORCH}|ATen/ATen\.h"),
    r"device_of": ("ATen/DeviceGuard.h", rf"{_TORCH}|ATen/ATen\.h"),
    r"gpuAtomicAdd|gpuAtomicAddNoReturn": (
        "ATen/cuda/Atomic.cuh",
        r"THC/THCAtomics\.cuh|ATen/cuda/CUDAApplyUtils\.cuh",
    ),
    r"AT_DISPATCH_\w+": ("ATen/Dispatch.h", rf"{_TORCH}|ATen/ATen\.h|ATen/Dispatch_v2\.h"),
    r"runtime_error": ("stdexcept", rf"{_TORCH}|ATen/ATen\.h"),
}
#: What TH.h and THC.h brought in beside torch's own names, for files that lose them.
STANDARD: dict[str, tuple[str, str]] = {
    r"printf|fprintf|sprintf|stderr": ("cstdio", r"stdio\.h"),
    r"malloc|free|exit|abs": ("cstdlib", r"stdlib\.h"),
    r"memcpy|memset|strlen|strcmp": ("cstring", r"string\.h"),
    r"sqrt|floor|ceil|exp|pow|round|fabs|log": ("cmath", r"math\.h"),
    r"FLT_MAX|FLT_MIN|DBL_MAX|FLT_EPSILON": ("cfloat", r"float\.h"),
    r"cudaStream_t|cudaError_t|cudaGetLastError": ("cuda_runtime.h", r"cuda_runtime_api\.h|(?:ATen|c10)/cuda/.*"),
}


def missing(code: Code, names: str, seen: frozenset[str], lost: bool) -> list[tuple[str, int]]:
    """The headers that a text lacks, each with the offset where it is first needed.

    Args:
        code: the text.
        names: a regular expression for the names that have come in.
        seen: the headers that its project headers bring in.
        lost: whether a header of TH or THC has been taken out of it.
    """
    wanted = [*SYMBOLS.items(), *(STANDARD.items() if lost else ())]
    asked = re.compile(names)
    found = []
    for symbols, (header, others) in wanted:
        if not lost and not any(map(asked.fullmatch, symbols.split("|"))):
            continue
        uses = (stream[i] for stream, i in code.names(symbols))
        first = min((token.start for token in uses if token.text not in code.own), default=None)
        if first is None:
            continue
        if not has(code, header, first, seen, others):
            found.append((header, first))
    return found


def _reaches(include: tuple[Directive, ...], use: tuple[Directive, ...]) -> bool:
    """Whether code inside `use` has seen an include inside `include`."""
    return use[: len(include)] == include or [_words(line) for line in include] == [
        _words(line) for line in use[: len(include)]
    ]


def _words(line: Directive) -> list[str]:
    return [line.name, *(token.text for token in line.tokens)]


def add(code: Code, header: str, first: int) -> Edit:
    """The edit that includes a header for code at offset `first`.

    It goes behind the last #include before that code which is under the same conditions; where
    there is none, conditions and all behind the last #include, or else to the top.
    """
    newline = newline_of(code.text)
    line = f"#include <{header}>{newline}"
    path = code.layout.path_at(first)
    before = [i for i in code.layout.includes if i.directive.start < first and not nested(code, i)]
    same = [i for i in before if [_words(p) for p in i.path] == [_words(p) for p in path]]
    if same:
        return _behind(code, same[-1].directive, line, newline)
    conditions = [p for p in path if p.name in ("if", "ifdef", "ifndef")]
    if path and len(conditions) == len(path):
        opening = "".join(code.text[p.start : p.end] for p in conditions)
        line = opening + line + f"#endif{newline}" * len(conditions)
    plain = [i for i in before if not i.path]
    if plain:
        return _behind(code, plain[-1].directive, line, newline)
    return Edit(top := top_of(code), top, line)


def _behind(code: Code, line: Directive, text: str, newline: str) -> Edit:
    ended = code.text[: line.end].endswith(("\n", "\r"))
    return Edit(line.end, line.end, text if ended else newline + text)


def nested(code: Code, include: Include) -> bool:
    """Whether an include is inside braces, as in extern "C" { … }."""
    before = code.live.at(include.directive.start) - 1
    return before >= 0 and (code.live[before].text == "{" or code.live.around[before] >= 0)


def top_of(code: Code) -> int:
    """Where a first #include belongs: behind a leading comment of its own and the include guard."""
    guard = {line.start: line.end for line in guard_lines(code.layout.directives)}
    top = behind_comment = 0
    for token in code.tokens:
        start = line_start(code.text, token.start)
        if token.kind == "comment" and not token.line:
            behind_comment = token.end
        elif token.kind == "space":
            gap = code.text[behind_comment : token.end]
            if behind_comment and not gap.strip() and gap.count("\n") > 1:
                top = behind_comment + len(newline_of(code.text))
        elif start in guard:
            top = guard[start]
        elif not token.line:
            break
    return top


def behind_includes(code: Code, first: int) -> int:
    """Where a block of code belongs that is used at offset `first`: behind the includes before it."""
    ends = [
        include.directive.end
        for include in code.layout.includes
        if include.directive.end <= first and not nested(code, include)
    ]
    if not ends:
        return top_of(code)
    last = max(ends)
    if not code.layout.path_at(last):
        return last
    # behind the #endif of the last include, if that comes before the use
    return next((at for at, path in code.layout.branches if last < at <= first and not path), last)


def has(code: Code, header: str, first: int, seen: frozenset[str], others: str = "") -> bool:
    """Whether code at offset `first` has seen a header, or another one that brings the same.

    `others` is a regular expression for the latter; without it, those of any name of the header.
    """
    known = [o for h, o in (*SYMBOLS.values(), *STANDARD.values()) if h == header]
    others = others or "|".join(known) or "(?!)"
    path = code.layout.path_at(first)
    there = {i.header[1:-1] for i in code.layout.includes if _reaches(i.path, path)} | seen
    return any(name == header or re.fullmatch(others, name) for name in there)


def symbol_pattern(emitted: Iterable[str]) -> str:
    """The `names` of `missing` for the names that rules have brought in."""
    return "|".join(sorted(set(emitted))) or "(?!)"
