"""What the random calls of deform_attn and deform_sample share: tensors by name, and derivatives of a function of
them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def normals(seed: int) -> Callable[..., Tensor]:
    """A function that draws float64 tensors of a shape, one after the other."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return normal


def in_dtypes(
    exact: dict[str, Tensor],
    points: tuple[str, ...],
    dtype: torch.dtype,
    device: str,
    points_dtype: torch.dtype | None,
) -> dict[str, Tensor]:
    """The tensors in `dtype`, those of the points in a dtype of their own if any."""
    dtypes = dict.fromkeys(points, points_dtype or dtype)
    return {name: t.to(device, dtypes.get(name, dtype)) for name, t in exact.items()}


def differentiated(function: Callable[..., Tensor], tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The output of a function of all tensors but `grad_output`, in their order, and its gradients."""
    leaves = {n: t.detach().requires_grad_() for n, t in tensors.items() if n != "grad_output"}
    output = function(*leaves.values())
    grads = torch.autograd.grad(output, list(leaves.values()), tensors["grad_output"])
    return {"output": output.detach(), **{f"grad_{n}": grad for n, grad in zip(leaves, grads)}}
