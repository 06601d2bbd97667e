"""Batching rules of operators under torch.func.vmap: the one for every operator, and what those of operators share.

A rule takes the function to call, the number of slices, for each argument the dimension that is mapped (None for none), and
the arguments. It returns the output, or a tuple of them, and for each the dimension that the slices lie along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Rule = Callable[[Callable[..., Any], int, Sequence[Any], Sequence[Any]], tuple[Any, Any]]


def mapped_first(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    """A tensor whose first dimension is the mapped one, of `size` slices."""
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def one_by_one(
    call: Callable[..., Any], size: int, in_dims: Sequence[Any], args: Sequence[Any]
) -> tuple[Any, Any]:
    """Right for every operator, and as slow as a call for each slice is."""
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
