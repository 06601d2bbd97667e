"""Batching rules of the deformable poolings for torch.func.vmap: the slices' images and RoIs become one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dcnbuild.ops.arguments import HALF
from dcnbuild.ops.vmap import mapped_first


def _positions(
    size: int, in_dims: Sequence[int | None], rois: Tensor, offset: Tensor | None, batch: int | None
) -> tuple[Tensor, Tensor | None]:
    """Joins the RoIs and offsets of all slices, and adjusts the RoIs' image indices to the batch of all slices.

    `batch` is the number of images of a slice, or None if the slices share their images. Half types become float32,
    which can hold the image indices.
    """
    rois = mapped_first(rois, in_dims[0], size)
    offset = None if offset is None else mapped_first(offset, in_dims[1], size).flatten(0, 1)
    if rois.dtype in HALF:
        rois = rois.float()
        offset = None if offset is None else offset.float()
    if batch is not None:
        number = rois[..., :1]
        start = torch.arange(size, device=rois.device, dtype=rois.dtype)[:, None, None] * batch
        # A wrong image index must not become that of another slice's image.
        number = torch.where((number >= 0) & (number < batch), number + start, -1)
        rois = torch.cat([number, rois[..., 1:]], dim=-1)
    return rois.flatten(0, 1), offset


def forward(
    apply: Callable[..., Any], size: int, in_dims: Sequence[int | None], args: Sequence[Any]
) -> tuple[Tensor, int]:
    """`apply(input, rois, offset, *attributes)` over `size` slices; the mapped dimension comes out first."""
    input, rois, offset, *attributes = args
    batch = None
    if in_dims[0] is not None:
        input = mapped_first(input, in_dims[0], size)
        batch, input = input.shape[1], input.flatten(0, 1)
    rois, offset = _positions(size, in_dims[1:3], rois, offset, batch)
    output = apply(input, rois, offset, *attributes)
    return output.unflatten(0, (size, -1)), 0


def backward(
    apply: Callable[..., Any], size: int, in_dims: Sequence[Any], args: Sequence[Any]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """`apply(grad_output, input, rois, offset, *attributes, output_mask, deterministic)` over `size` slices."""
    grad_output = mapped_first(args[0], in_dims[0], size).flatten(0, 1)
    input = mapped_first(args[1], in_dims[1], size)
    rois, offset = _positions(size, in_dims[2:4], args[2], args[3], input.shape[1])
    grads = apply(grad_output, input.flatten(0, 1), rois, offset, *args[4:])
    results = []
    for grad, like, wanted in zip(grads, (args[1], args[3]), args[-2]):
        if not wanted or like is None:
            results.append(grad.new_empty(size, 0))
        else:
            results.append(grad.to(like.dtype).unflatten(0, (size, -1)))
    return tuple(results), (0, 0)
