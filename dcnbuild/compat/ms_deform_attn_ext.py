"""The raw calls of the extensions of deformable attention: `MultiScaleDeformableAttention`, and part of `mmcv._ext`,
`groundingdino._C` and `detrex._C`. Autograd records none of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import dcnbuild.ops.operators  # noqa: F401  registers them
from dcnbuild.compat.attention import Shapes, attend, in_order, in_their_words, of_one_dtype
from dcnbuild.ops.deform_attn_arguments import parse

__all__ = ["ms_deform_attn_backward", "ms_deform_attn_forward"]

#: What these calls call arguments of `dcnbuild.deform_attn`.
_NAMES = {"sampling_locations": "sampling_loc", "attention_weights": "attn_weight"}


@torch.no_grad()
def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Shapes,
    level_start_index: Tensor,
    sampling_loc: Tensor,
    attn_weight: Tensor,
    im2col_step: int,
) -> Tensor:
    """Returns [N, Q, M · D]; `im2col_step` is ignored, and need not divide the batch."""
    return in_their_words(*(_NAMES, attend, value, spatial_shapes, level_start_index, sampling_loc, attn_weight))


@torch.no_grad()
def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Shapes,
    level_start_index: Tensor,
    sampling_loc: Tensor,
    attn_weight: Tensor,
    grad_output: Tensor,
    *outputs: Any,
    im2col_step: int | None = None,
) -> list[Tensor] | None:
    """Returns the gradients of value, locations and weights.

    Args:
        outputs: `im2col_step`, which is ignored. mmcv passes three tensors before it; then the gradients are added to
            them, and nothing is returned.
    """
    shapes = in_order(spatial_shapes, level_start_index)
    locations, weights = of_one_dtype(sampling_loc, attn_weight)
    flat = in_their_words(_NAMES, parse, value, shapes, locations, weights)
    width = value.shape[2] * value.shape[3]
    upstream = grad_output.reshape(*sampling_loc.shape[:2], width).to(value.dtype)
    wide = torch.ops.dcnbuild.deform_attn_backward(
        *(upstream, value, flat, locations, weights),
        *([True] * 3, torch.are_deterministic_algorithms_enabled()),
    )
    grads = [grad.to(t.dtype) for grad, t in zip(wide, (value, sampling_loc, attn_weight))]
    into = [output for output in outputs if isinstance(output, Tensor)]
    if not into:
        return grads
    for output, grad in zip(into, grads):
        output.add_(grad)
    return None
