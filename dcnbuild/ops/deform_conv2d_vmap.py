"""Batching rules of deform_conv2d for torch.func.vmap.

A vmapped call becomes one call with more groups. The mapped dimension moves in front of the channels, so that slice b
has its own input channels, offset groups and filters. The same rule works for every combination of mapped arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from dcnbuild.ops.reference.deform_conv2d import Attributes
from dcnbuild.ops.vmap import mapped_first


def _into_channels(tensor: Tensor | None) -> Tensor | None:
    """[B, N, C, ...] → [N, B * C, ...]"""
    return None if tensor is None else tensor.transpose(0, 1).flatten(1, 2)


def _out_of_channels(tensor: Tensor, size: int) -> Tensor:
    """[N, B * C, ...] → [B, N, C, ...]"""
    return tensor.unflatten(1, (size, -1)).transpose(0, 1)


def _widened(attributes: Sequence[Any], size: int) -> Attributes:
    a = Attributes(*attributes)
    return a._replace(groups=a.groups * size, offset_groups=a.offset_groups * size)


def forward(
    apply: Callable[..., Any], size: int, in_dims: Sequence[int | None], args: Sequence[Any]
) -> tuple[Tensor, int]:
    """`apply(input, offset, mask, weight, bias, *attributes)` over `size` slices; the mapped dimension comes out
    first.
    """
    input, offset, mask, weight, bias = (
        None if tensor is None else mapped_first(tensor, dim, size) for tensor, dim in zip(args[:5], in_dims[:5])
    )
    output = apply(
        _into_channels(input),
        _into_channels(offset),
        _into_channels(mask),
        None if weight is None else weight.flatten(0, 1),
        None if bias is None else bias.flatten(0, 1),
        *_widened(args[5:], size),
    )
    return _out_of_channels(output, size), 0


def backward(
    apply: Callable[..., Any], size: int, in_dims: Sequence[Any], args: Sequence[Any]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """`apply(grad_output, input, offset, mask, weight, *attributes, output_mask, deterministic)` over `size` slices."""
    grad_output, input, offset, mask, weight = (
        None if tensor is None else mapped_first(tensor, dim, size) for tensor, dim in zip(args[:5], in_dims[:5])
    )
    *attributes, output_mask, deterministic = args[5:]
    grads = apply(
        _into_channels(grad_output),
        _into_channels(input),
        _into_channels(offset),
        _into_channels(mask),
        None if weight is None else weight.flatten(0, 1),
        *_widened(attributes, size),
        output_mask,
        deterministic,
    )
    results = []
    for index, (grad, wanted) in enumerate(zip(grads, output_mask)):
        if not wanted or grad.numel() == 0 and grad.dim() == 1:
            results.append(grad.new_empty(size, 0))
        elif index < 3:
            results.append(_out_of_channels(grad, size))
        else:
            results.append(grad.unflatten(0, (size, -1)))
    return tuple(results), (0,) * 5
