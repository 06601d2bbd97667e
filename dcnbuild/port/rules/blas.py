"""Matrix products of TH and THC."""

from __future__ import annotations

from dcnbuild.port.rule import Rule

_FUNCTIONS = {
    "gemm": "gemm",
    "gemmBatched": "gemm_batched",
    "gemmStridedBatched": "gemm_strided_batched",
    "gemv": "gemv",
    "ger": "ger",
}
_WHY = (
    "The helper calls cuBLAS on torch's handle and stream, which also carry torch's TF32 setting."
    " at::cuda::blas::gemm looks nearer but is not exported: it compiles and then fails at import"
    " (read in the symbols of libtorch_cuda.so 2.14.1)."
)


def _cuda(letter: str, old: str, new: str) -> Rule:
    name, helper = f"THCudaBlas_{letter}{old}", f"ported_cublas_{letter.lower()}{new}"
    return Rule(
        id=f"thc-blas-{letter.lower()}{new.replace('_', '-')}",
        gone="torch 1.8",
        since="torch 1.1",
        pattern=f"{name}($state, $$operands)",
        replacement=f"{helper}($$operands)",
        before=f"void f() {{ {name}(state, rest, of, it); }}\n",
        after=f"void f() {{ {helper}(rest, of, it); }}\n",
        untouched=(f"// {name}(state, x)\n", f"void {name}(int a) {{}}\nvoid f() {{ {name}(1); }}\n"),
        why=_WHY if (letter, old) == ("S", "gemm") else "",
        helper=helper,
    )


def _cpu(type: str, function: str) -> Rule:
    name = f"TH{type}Blas_{function}"
    return Rule(
        id=f"th-blas-{type.lower()}-{function}",
        gone="torch 1.8",
        since="torch 1.3",
        pattern=f"{name}($$operands)",
        replacement=f"ported_blas_{function}<{type.lower()}>($$operands)",
        before=f"void f() {{ {name}(all, of, it); }}\n",
        after=f"void f() {{ ported_blas_{function}<{type.lower()}>(all, of, it); }}\n",
        untouched=(f"// {name}(x)\n",),
        helper=f"ported_blas_{function}",
    )


RULES = (
    *(_cuda(letter, old, new) for letter in "SD" for old, new in _FUNCTIONS.items()),
    *(_cpu(type, function) for type in ("Float", "Double") for function in ("gemm", "gemv")),
)
