"""The raw calls of Sparse4D's extension `deformable_aggregation_ext` (SparseDrive, …). Autograd records none of them.

An anchor's points are projected into several cameras, each with feature maps of several scales. The aggregation is
deformable attention whose levels are the maps of all cameras, and whose heads are the groups of channels. Only points
within a camera's image count, where attention also counts those up to half a pixel outside.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dcnbuild.compat.attention import attend
from dcnbuild.compat.shared import gradients_of

__all__ = ["deformable_aggregation_backward", "deformable_aggregation_forward"]


def _aggregate(
    features: Tensor, spatial_shape: Tensor, scale_start_index: Tensor, locations: Tensor, weights: Tensor
) -> Tensor:
    groups, scales = weights.shape[-1], weights.shape[-2]
    if locations.dim() == 4:  # Sparse4D's first version: every point is a query
        locations, weights = locations.unsqueeze(2), weights.unsqueeze(2)
    inside = ((locations > 0) & (locations < 1)).all(-1)[..., None, None]
    # [N, A, points, cameras, scales, groups] → [N, A, groups, cameras · scales, points]
    weights = (weights * inside).permute(0, 1, 5, 3, 4, 2).flatten(3, 4)
    # [N, A, points, cameras, 2] → [N, A, groups, cameras · scales, points, 2]
    places = (
        locations.permute(0, 1, 3, 2, 4).repeat_interleave(scales, 2)[:, :, None].expand(-1, -1, groups, -1, -1, -1)
    )
    value = features.unflatten(-1, (groups, features.shape[-1] // groups))
    return attend(value, spatial_shape.flatten(0, 1), scale_start_index.flatten(), places, weights)


@torch.no_grad()
def deformable_aggregation_forward(
    mc_ms_feat: Tensor,
    spatial_shape: Tensor,
    scale_start_index: Tensor,
    sampling_location: Tensor,
    weights: Tensor,
) -> Tensor:
    """Returns [N, A, C].

    Args:
        mc_ms_feat: [N, S, C], the maps of the first camera's scales, then of the next camera's.
        spatial_shape: [cameras, scales, 2] as (height, width); scale_start_index: [cameras, scales].
        sampling_location: [N, A, points, cameras, 2] as (x, y) in 0…1; in older copies without the points.
        weights: [N, A, points, cameras, scales, groups].
    """
    return _aggregate(mc_ms_feat, spatial_shape, scale_start_index, sampling_location, weights)


def deformable_aggregation_backward(
    mc_ms_feat: Tensor,
    spatial_shape: Tensor,
    scale_start_index: Tensor,
    sampling_location: Tensor,
    weights: Tensor,
    grad_output: Tensor,
    grad_mc_ms_feat: Tensor,
    grad_sampling_location: Tensor,
    grad_weights: Tensor,
) -> None:
    """Adds the gradients to the last three tensors."""

    def forward(features: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return _aggregate(features, spatial_shape, scale_start_index, locations, weights)

    grads = gradients_of(forward, (mc_ms_feat, sampling_location, weights), grad_output)
    for into, grad in zip((grad_mc_ms_feat, grad_sampling_location, grad_weights), grads):
        into.add_(grad)
