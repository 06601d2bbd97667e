"""Checks and errors: TORCH_CHECK and its family, warnings, CUDA's checks."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments
from dcnbuild.port.rule import Scope
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.spans import text_of
from dcnbuild.port.stable.types import rule_of, scope_of

_PLAIN = (
    r"TORCH_CHECK|TORCH_CHECK_(?:INDEX|VALUE|TYPE|NOT_IMPLEMENTED|LINALG|ARG)|TORCH_INTERNAL_ASSERT"
    r"|TORCH_INTERNAL_ASSERT_DEBUG_ONLY|AT_ASSERT|AT_ASSERTM"
)
_COMPARED = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_CUDA = {
    "C10_CUDA_CHECK": "STD_CUDA_CHECK",
    "AT_CUDA_CHECK": "STD_CUDA_CHECK",
    "TORCH_CUDABLAS_CHECK": "PORTED_CUBLAS_CHECK",
    "C10_CUDA_KERNEL_LAUNCH_CHECK": "STD_CUDA_KERNEL_LAUNCH_CHECK",
    "TORCH_CUDA_KERNEL_LAUNCH_CHECK": "STD_CUDA_KERNEL_LAUNCH_CHECK",
}


def _checks(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names(_PLAIN):
        if stream[index].text not in scope.own and stream.follows(index, "("):
            yield stream.edit(index, index, "STD_TORCH_CHECK")


def _comparisons(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names(r"TORCH_D?CHECK_(?:EQ|NE|LT|LE|GT|GE)"):
        found = arguments(stream, index + 2) if stream.follows(index, "(") else None
        if found is None or len(found[0]) != 2 or stream[index].text in scope.own:
            continue
        left, right = (text_of(code, stream, start, end) for start, end in found[0])
        sign = _COMPARED[stream[index].text[-2:]]
        new = f"STD_TORCH_CHECK(({left}) {sign} ({right}))"
        yield stream.edit(index, found[1], new)


def _shown(code: Code, scope: Scope) -> Iterable[Edit]:
    """What a message of STD_TORCH_CHECK holds and a stream of the standard library cannot print."""
    known = expressions(code, scope_of(scope).signatures)
    for stream, index in code.names("STD_TORCH_CHECK"):
        found = arguments(stream, index + 2) if stream.follows(index, "(") else None
        for start, end in found[0][1:] if found else ():
            words = [token.text for token in stream[start:end]]
            if words[-4:-3] == ["."] and words[-2:] == ["(", ")"]:
                if words[-3] in ("sizes", "strides"):
                    yield stream.before(start, "ported_text(")
                    yield stream.behind(end - 1, ")")
                elif words[-3] == "device" and known.kind(stream, start, end - 4) == "tensor":
                    member = stream[end - 3]
                    yield Edit(member.start, stream[end - 1].end, "get_device_index()")


def _cuda(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names("|".join(_CUDA)):
        if stream[index].text not in scope.own and stream.follows(index, "("):
            yield stream.edit(index, index, _CUDA[stream[index].text])


def _warnings(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names("TORCH_WARN|TORCH_WARN_ONCE"):
        if stream[index].text not in scope.own and stream.follows(index, "("):
            yield stream.edit(index, index, "PORTED_WARN")


RULES = (
    rule_of(
        "stable-check",
        "TORCH_CHECK, TORCH_INTERNAL_ASSERT, TORCH_CHECK_INDEX, …",
        "STD_TORCH_CHECK",
        'void f(int n) { TORCH_CHECK(n > 0, "n is ", n); }\n',
        'void f(int n) { STD_TORCH_CHECK(n > 0, "n is ", n); }\n',
        untouched=("#define TORCH_CHECK(x) mine(x)\nvoid f(int n) { TORCH_CHECK(n > 0); }\n",),
        why="It throws std::runtime_error, which Python sees as RuntimeError, whichever of the macros it was.",
        rewrite=_checks,
    ),
    rule_of(
        "stable-check-comparison",
        "TORCH_CHECK_EQ(a, b), TORCH_CHECK_LT(a, b), …",
        "STD_TORCH_CHECK((a) == (b))",
        "void f(int n) { TORCH_CHECK_GT(n, 0); }\n",
        "void f(int n) { STD_TORCH_CHECK((n) > (0)); }\n",
        untouched=("// TORCH_CHECK_GT(n, 0)\n",),
        rewrite=_comparisons,
    ),
    rule_of(
        "stable-check-message",
        "STD_TORCH_CHECK(…, x.sizes())",
        "STD_TORCH_CHECK(…, ported_text(x.sizes()))",
        'void f(torch::stable::Tensor x) { STD_TORCH_CHECK(x.dim() == 3, "got ", x.sizes()); }\n',
        'void f(torch::stable::Tensor x) { STD_TORCH_CHECK(x.dim() == 3, "got ", ported_text(x.sizes())); }\n',
        untouched=('void f(torch::stable::Tensor x) { STD_TORCH_CHECK(x.dim() == 3, "x"); }\n',),
        why="The standard library's streams do not print lists of sizes.",
        rewrite=_shown,
        helper="ported_text",
    ),
    rule_of(
        "stable-cuda-check",
        "C10_CUDA_CHECK, AT_CUDA_CHECK, C10_CUDA_KERNEL_LAUNCH_CHECK, TORCH_CUDABLAS_CHECK",
        "STD_CUDA_CHECK, STD_CUDA_KERNEL_LAUNCH_CHECK, PORTED_CUBLAS_CHECK",
        "void f() { AT_CUDA_CHECK(cudaGetLastError()); }\n",
        "void f() { STD_CUDA_CHECK(cudaGetLastError()); }\n",
        untouched=("#define AT_CUDA_CHECK(x) mine(x)\nvoid f() { AT_CUDA_CHECK(0); }\n",),
        rewrite=_cuda,
    ),
    rule_of(
        "stable-warn",
        "TORCH_WARN, TORCH_WARN_ONCE",
        "PORTED_WARN, which calls the shim aoti_torch_warn",
        'void f() { TORCH_WARN("slow"); }\n',
        'void f() { PORTED_WARN("slow"); }\n',
        untouched=("// TORCH_WARN\n",),
        rewrite=_warnings,
        helper="ported_warning",
    ),
)
