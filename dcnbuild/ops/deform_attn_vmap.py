"""Batching rules of deform_attn for torch.func.vmap: slices become images of one batch, or queries of one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from dcnbuild.ops.vmap import mapped_first, one_batch


def _into_queries(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    """[B, N, Q, ...] → [N, B * Q, ...]"""
    return mapped_first(tensor, dim, size).transpose(0, 1).flatten(1, 2)


def _out_of_queries(tensor: Tensor, size: int) -> Tensor:
    """[N, B * Q, ...] → [B, N, Q, ...]"""
    return tensor.unflatten(1, (size, tensor.shape[1] // size)).transpose(0, 1)


def forward(apply: Callable[..., Any], size: int, in_dims: Sequence[Any], args: Sequence[Any]) -> tuple[Tensor, int]:
    """`apply(value, spatial_shapes, locations, weights)` over `size` slices; the mapped dimension comes out first."""
    value, shapes, *points = args
    if in_dims[0] is None:
        # All slices share the value, so it is not copied.
        wide = [_into_queries(t, dim, size) for t, dim in zip(points, in_dims[2:])]
        return _out_of_queries(apply(value, shapes, *wide), size), 0
    return one_batch(apply, size, in_dims, args)


def backward(
    apply: Callable[..., Any], size: int, in_dims: Sequence[Any], args: Sequence[Any]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """`apply(grad_output, value, spatial_shapes, locations, weights, output_mask, deterministic)` over `size`
    slices.
    """
    grad_output, value, shapes, *points, output_mask, deterministic = args
    if in_dims[1] is not None or output_mask[0]:
        return one_batch(apply, size, in_dims, args)
    grads = apply(
        _into_queries(grad_output, in_dims[0], size),
        value,
        shapes,
        *(_into_queries(t, dim, size) for t, dim in zip(points, in_dims[3:5])),
        output_mask,
        deterministic,
    )
    results = [
        _out_of_queries(grad, size) if wanted else grad.new_empty(size, 0) for grad, wanted in zip(grads, output_mask)
    ]
    return tuple(results), (0, 0, 0)
