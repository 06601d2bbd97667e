"""A product of torch's that has no CPU kernel, for the CUDA sources on CPU tensors."""

from __future__ import annotations

import torch

#: The registrations end when this does.
_library = torch.library.Library("aten", "IMPL")


def register() -> None:
    """Lets the CPU multiply half types into float32, where this torch has torch.mm's `out_dtype` for CUDA."""
    for name in ("mm", "bmm"):
        operator = f"aten::{name}.dtype_out"
        there = "dtype_out" in getattr(torch.ops.aten, name).overloads()
        if there and not torch._C._dispatch_has_kernel_for_dispatch_key(operator, "CPU"):
            _library.impl(f"{name}.dtype_out", _product, "CPU")


def _product(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype, *, out: torch.Tensor) -> torch.Tensor:
    assert out.dtype == dtype
    return out.copy_(a.to(dtype) @ b.to(dtype))
