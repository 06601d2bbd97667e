"""Derivatives of functions of tensors, some of which may be missing (None)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def _of_present(
    function: Callable[..., Any], tensors: Sequence[Tensor | None]
) -> tuple[Callable[..., Any], list[int], list[Tensor]]:
    """Returns the function of the present tensors only, their indices, and the tensors."""
    present = [(index, tensor) for index, tensor in enumerate(tensors) if tensor is not None]
    indices = [index for index, _ in present]

    def of_present(*given: Tensor) -> Any:
        filled: list[Tensor | None] = [None] * len(tensors)
        for index, tensor in zip(indices, given):
            filled[index] = tensor
        return function(*filled)

    return of_present, indices, [tensor for _, tensor in present]


def pull_back(function: Callable[..., Any], tensors: Sequence[Tensor | None], cotangents: Any) -> tuple[Any, ...]:
    """Returns the vector-Jacobian product: a gradient for each tensor, None for a missing tensor.

    Args:
        function: takes the tensors, returns a tensor or a tuple.
        cotangents: a tensor like the function's output, or a tuple of them; None in a tuple means zeros.
    """
    of_present, indices, given = _of_present(function, tensors)
    outputs, pull = torch.func.vjp(of_present, *given)[:2]
    if isinstance(cotangents, tuple):
        cotangents = tuple(
            torch.zeros_like(output) if cotangent is None else cotangent
            for output, cotangent in zip(outputs, cotangents)
        )
    grads: list[Tensor | None] = [None] * len(tensors)
    for index, grad in zip(indices, pull(cotangents)):
        grads[index] = grad
    return tuple(grads)


def push_forward(
    function: Callable[..., Any],
    tensors: Sequence[Tensor | None],
    tangents: Sequence[Tensor | None],
) -> Any:
    """Returns the Jacobian-vector product; a tangent of None means zeros.

    It computes two vector-Jacobian products, because forward mode cannot be nested in eager code.
    """
    of_present, indices, given = _of_present(function, tensors)
    directions = tuple(
        torch.zeros_like(tensor) if tangents[index] is None else tangents[index]
        for index, tensor in zip(indices, given)
    )
    outputs, pull = torch.func.vjp(of_present, *given)[:2]
    zeros = torch.utils._pytree.tree_map(torch.zeros_like, outputs)
    push = torch.func.vjp(pull, zeros)[1]
    (result,) = push(directions)
    return result
