"""Device guards: without one, a kernel runs on the GPU that happens to be current."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dcnbuild.port.code import Code, Function
from dcnbuild.port.edits import Edit, indent_of, line_of, newline_of
from dcnbuild.port.result import Remark
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.source import COMPILED_SUFFIXES
from dcnbuild.port.tokens import Token

#: What chooses a GPU.
GUARDS = frozenset(
    [
        *("CUDAGuard", "OptionalCUDAGuard", "DeviceGuard", "OptionalDeviceGuard", "MaybeSetDevice"),
        *("cudaSetDevice", "CUDAStreamGuard", "device_guard"),
    ]
)
#: Macros that only nvcc defines.
_NVCC = frozenset({"__CUDACC__", "__NVCC__", "__CUDA_ARCH__", "__HIPCC__"})
_STREAMS = frozenset({"getCurrentCUDAStream", "THCState_getCurrentStream"})
#: What the first lines of such a function are made of: checks whose messages should come first.
_CHECKS = ("TORCH_CHECK", "AT_ASSERT", "AT_CHECK", "CHECK", "THArgCheck", "TORCH_INTERNAL_ASSERT")


def launches(words: list[Token]) -> list[int]:
    """The indices of the `<<<` of kernel launches."""
    return [
        index
        for index in range(len(words) - 2)
        if words[index].text == "<"
        and words[index + 1].text == "<"
        and words[index + 2].text == "<"
        and words[index].end == words[index + 1].start
        and words[index + 1].end == words[index + 2].start
        and (not index or words[index - 1].text != "<")
    ]


def _guards(code: Code, scope: Scope) -> Iterable[Edit]:
    for function in code.functions:
        tensor = next((p.name for p in function.parameters if p.is_tensor and p.name), None)
        if tensor is None or {"__global__", "__device__"} & function.specifiers:
            continue
        words = code.between(*function.body)
        names = {token.text for token in words}
        if names & (GUARDS | scope.guards) or not (launches(words) or names & _STREAMS):
            continue
        yield _insert(code, function, words, tensor)


def host_launches(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for kernel launches in a file whose suffix is C++'s: `k.cu.cc`, say."""
    if scope.suffix not in COMPILED_SUFFIXES - {".cu"} or "<<<" not in code.text:
        return
    starts = [code.live[index].start for index in launches(code.live)]
    asked = ({token.text for line in code.layout.path_at(start) for token in line.tokens} for start in starts)
    lines = [line_of(code.text, start) for start, words in zip(starts, asked, strict=True) if not words & _NVCC]
    if lines:
        reason = "torch's builds choose the compiler by the suffix, and only .cu goes to nvcc"
        advice = "call the file .cu, unless the build tells nvcc to take it (-x cu, LANGUAGE CUDA)"
        yield Remark(
            "launch-in-cpp", tuple(lines), f"kernel<<<…>>> in a {scope.suffix} file", reason, advice, "deprecated"
        )


def _insert(code: Code, function: Function, words: list[Token], tensor: str) -> Edit:
    newline = newline_of(code.text)
    guard = f"const c10::cuda::OptionalCUDAGuard device_guard(at::device_of({tensor}));"
    behind = _behind_checks(words)
    offset = words[behind - 1].end if behind else function.body[0]
    indent = indent_of(code.text, words[0].start)
    if "\n" not in code.text[function.body[0] : words[0].start]:
        return Edit(offset, offset, f" {guard}")
    return Edit(offset, offset, f"{newline}{indent}{guard}")


def _behind_checks(words: list[Token]) -> int:
    """How many of a body's first tokens are checks, whole statements only."""
    index = 0
    while index < len(words) and words[index].text.startswith(_CHECKS):
        depth, end = 0, index + 1
        while end < len(words):
            depth += (words[end].text == "(") - (words[end].text == ")")
            end += 1
            if not depth:
                break
        if end < len(words) and words[end].text == ";":
            end += 1
        index = end
    return index


RULES = entries(
    __file__,
    {
        "device-guard": _guards,
    },
)
