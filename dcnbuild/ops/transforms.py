"""What the operators' autograd Functions share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dcnbuild.ops.torch_versions import dispatch_below_autograd, is_compiling


def tracing_operators() -> bool:
    """Whether torch.compile, torch.export or torch.jit.trace records a graph of operators."""
    return is_compiling() or torch.jit.is_tracing()


def below_autograd(operator: Any, *args: Any) -> Any:
    """Calls an operator's kernel."""
    with dispatch_below_autograd():
        return operator(*args)


def refuse_transforms(apply: Callable[..., Any]) -> Callable[..., Any]:
    """The autograd kernel of a raw operator. torch.func cannot see through it, so it says so: no silent zero tangent."""

    def kernel(*args: Any) -> Any:
        if torch._C._are_functorch_transforms_active():
            raise NotImplementedError(
                "torch.ops.dcnbuild operators do not go through torch.func transforms: call the function of the same name "
                "in dcnbuild, such as dcnbuild.deform_conv2d, which does"
            )
        return apply(*args)

    return kernel


def pull_back(
    function: Callable[..., Any], tensors: Sequence[Tensor], cotangents: Sequence[Tensor | None]
) -> tuple[Tensor, ...]:
    """The vector-Jacobian product of a function with several outputs; None is a cotangent of zeros."""
    outputs, pull = torch.func.vjp(function, *tensors)[:2]
    grads: tuple[Tensor, ...] = pull(
        tuple(
            torch.zeros_like(output) if cotangent is None else cotangent
            for output, cotangent in zip(outputs, cotangents)
        )
    )
    return grads


def push_forward(
    function: Callable[..., Any], tensors: Sequence[Tensor], tangents: Sequence[Tensor | None]
) -> Any:
    """The Jacobian-vector product of a function; None is a tangent of zeros.

    Computed as two vector-Jacobian products, because forward mode cannot be nested in eager code.
    """
    directions = tuple(
        torch.zeros_like(tensor) if tangent is None else tangent
        for tensor, tangent in zip(tensors, tangents)
    )
    outputs, pull = torch.func.vjp(function, *tensors)[:2]
    zeros = torch.utils._pytree.tree_map(torch.zeros_like, outputs)
    push = torch.func.vjp(pull, zeros)[1]
    (result,) = push(directions)
    return result
