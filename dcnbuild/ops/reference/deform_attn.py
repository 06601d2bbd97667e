"""Multi-scale deformable attention in plain torch: the oracle of the tests, and the fallback where nothing can be
compiled.

It is equation 3 of Zhu et al., "Deformable DETR" (2021), without its projections, written to be read. It is slow, and
its memory grows with channels x samples x queries. Every operation is differentiable any number of times.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dcnbuild.ops.reference.deform_conv2d import taps_at
from dcnbuild.ops.reference.derivatives import pull_back


def levels(spatial_shapes: Sequence[int]) -> list[tuple[int, int]]:
    """Returns (height, width) of each level, from h0, w0, h1, w1, …"""
    return list(zip(spatial_shapes[::2], spatial_shapes[1::2]))


def forward(
    value: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    spatial_shapes: Sequence[int],
) -> Tensor:
    """Computes the operator from the arguments of `torch.ops.dcnbuild.deform_attn`.

    Args:
        value: [N, S, M, D].
        sampling_locations: [N, Q, M, L, P, 2] as x, y; 0..1 is the width and height of a level.
        attention_weights: [N, Q, M, L, P].
        spatial_shapes: h0, w0, h1, w1, … of L levels; S is the sum of their pixels.

    Returns:
        [N, Q, M · D] of the dtype of `value`.
    """
    n, _, heads, channels = value.shape
    queries = sampling_locations.shape[1]
    dtype = torch.promote_types(value.dtype, torch.float32)
    # One image for each head: [N · M, D, S] and [L, N · M, 1, P, Q].
    pixels = value.to(dtype).permute(0, 2, 3, 1).flatten(0, 1)
    points = sampling_locations.to(dtype).permute(3, 5, 0, 2, 4, 1).flatten(2, 3)[:, :, :, None]
    weights = attention_weights.to(dtype).permute(3, 0, 2, 4, 1).flatten(1, 2)[:, :, None]
    output = pixels.new_zeros(n * heads, channels, queries)
    start = 0
    for level, (height, width) in enumerate(levels(spatial_shapes)):
        image = pixels[:, :, start : start + height * width].unflatten(2, (height, width))
        # The product is rounded before the half is subtracted, as in the kernels.
        x, y = points[level, 0] * width - 0.5, points[level, 1] * height - 0.5
        output = output + taps_at(image, y, x).columns(weights[level]).sum(2)
        start += height * width
    output = output.unflatten(0, (n, heads)).permute(0, 3, 1, 2).flatten(2)
    return output.to(value.dtype).contiguous()


def backward(
    grad_output: Tensor,
    value: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    spatial_shapes: Sequence[int],
) -> tuple[Tensor | None, ...]:
    """Returns the gradients of value, sampling_locations and attention_weights, by differentiating `forward`."""
    tensors = (value, sampling_locations, attention_weights)
    return pull_back(lambda v, p, w: forward(v, p, w, spatial_shapes), tensors, grad_output)
