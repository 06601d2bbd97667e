"""The raw pooling calls of `deform_pool_cuda` (mmdetection 1.x), `deform_pool_ext` and maskrcnn_benchmark, under all
names.

Calls write results into the tensors given for them, and add gradients to their tensors. Autograd records none of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dcnbuild.compat.dcn_v2_ext import (
    dcn_v2_psroi_pooling_backward,
    dcn_v2_psroi_pooling_forward,
)

__all__ = [
    "deform_psroi_pooling_backward",
    "deform_psroi_pooling_cuda_backward",
    "deform_psroi_pooling_cuda_forward",
    "deform_psroi_pooling_forward",
]


@torch.no_grad()
def deform_psroi_pooling_forward(
    input: Tensor,
    bbox: Tensor,
    trans: Tensor,
    out: Tensor,
    top_count: Tensor,
    no_trans: int,
    spatial_scale: float,
    output_dim: int,
    group_size: int,
    pooled_size: int,
    part_size: int,
    sample_per_part: int,
    trans_std: float,
) -> None:
    """Writes a deformable PS-RoI pooling to `out`, and the numbers of samples inside the image to `top_count`."""
    result, counts = dcn_v2_psroi_pooling_forward(
        *(input, bbox, trans, no_trans, spatial_scale, output_dim, group_size, pooled_size),
        *(part_size, sample_per_part, trans_std),
    )
    out.resize_(result.shape).copy_(result)
    top_count.resize_(counts.shape).copy_(counts)


@torch.no_grad()
def deform_psroi_pooling_backward(
    out_grad: Tensor,
    input: Tensor,
    bbox: Tensor,
    trans: Tensor,
    top_count: Tensor,
    input_grad: Tensor,
    trans_grad: Tensor,
    no_trans: int,
    spatial_scale: float,
    output_dim: int,
    group_size: int,
    pooled_size: int,
    part_size: int,
    sample_per_part: int,
    trans_std: float,
) -> None:
    """Adds the gradients to `input_grad` and, unless `no_trans`, to `trans_grad`."""
    grads = dcn_v2_psroi_pooling_backward(
        *(out_grad, input, bbox, trans, top_count, no_trans, spatial_scale, output_dim, group_size),
        *(pooled_size, part_size, sample_per_part, trans_std),
    )
    input_grad.add_(grads[0])
    if not no_trans:
        trans_grad.add_(grads[1])


deform_psroi_pooling_cuda_forward = deform_psroi_pooling_forward
deform_psroi_pooling_cuda_backward = deform_psroi_pooling_backward
