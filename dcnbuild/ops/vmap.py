"""The default batching rule for torch.func.vmap, and helpers of the operators' own rules.

A rule takes the function to call, the number of slices, the mapped dimension of each argument (None for none), and the
arguments. It returns the output, or a tuple of outputs, and for each the dimension of the slices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Rule = Callable[[Callable[..., Any], int, Sequence[Any], Sequence[Any]], tuple[Any, Any]]


def mapped_first(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    """Returns a tensor whose first dimension is the mapped one, with `size` slices."""
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def into_batch(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    """[B, N, ...] → [B * N, ...], where B is the mapped dimension."""
    return mapped_first(tensor, dim, size).flatten(0, 1)


def out_of_batch(tensor: Tensor, size: int) -> Tensor:
    """[B * N, ...] → [B, N, ...]"""
    return tensor.unflatten(0, (size, tensor.shape[0] // size))


def one_batch(call: Callable[..., Any], size: int, in_dims: Sequence[Any], args: Sequence[Any]) -> tuple[Any, Any]:
    """For operators whose tensors and outputs all begin with the batch: the slices become images of one batch.

    A gradient that nobody asked for has one dimension, without elements.
    """
    outputs = call(*(into_batch(arg, dim, size) if isinstance(arg, Tensor) else arg for arg, dim in zip(args, in_dims)))
    if isinstance(outputs, Tensor):
        return out_of_batch(outputs, size), 0
    apart = tuple(out_of_batch(output, size) if output.dim() > 1 else output.new_empty(size, 0) for output in outputs)
    return apart, (0,) * len(apart)


def one_by_one(call: Callable[..., Any], size: int, in_dims: Sequence[Any], args: Sequence[Any]) -> tuple[Any, Any]:
    """Calls the operator once for each slice: right for every operator, but slow."""
    outputs = [
        call(
            *(
                arg.select(dim, index) if isinstance(arg, Tensor) and dim is not None else arg
                for arg, dim in zip(args, in_dims)
            )
        )
        for index in range(size)
    ]
    if isinstance(outputs[0], Tensor):
        return torch.stack(outputs), 0
    stacked = tuple(torch.stack(slices) for slices in zip(*outputs))
    return stacked, (0,) * len(stacked)
