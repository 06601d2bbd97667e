"""The raw calls of the extension `DCNv4.ext`. Autograd records none of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dcnbuild.compat.dcnv4 import dcnv4, flash_deform_attn
from dcnbuild.compat.shared import gradients_of

__all__ = [
    "dcnv4_backward",
    "dcnv4_forward",
    "flash_deform_attn_backward",
    "flash_deform_attn_forward",
]


@torch.no_grad()
def dcnv4_forward(value: Tensor, p_offset: Tensor, *numbers: Any) -> Tensor:
    """Returns [N, H', W', C].

    Args:
        numbers: kernel, stride, pad and dilation as (h, w) each, group, group_channels, offset_scale, im2col_step,
            remove_center, two that are ignored, and softmax, which older copies do not have.
    """
    *shape, _, _ = numbers[:15]
    return dcnv4(value, p_offset, *shape, softmax=any(numbers[15:]))


def dcnv4_backward(value: Tensor, p_offset: Tensor, *numbers: Any) -> list[Tensor]:
    """Returns the gradients of value and offsets; `numbers` have grad_output after im2col_step."""
    grad_output, others = numbers[12], (*numbers[:12], *numbers[13:])
    *shape, _, _ = others[:15]

    def forward(value: Tensor, p_offset: Tensor) -> Tensor:
        return dcnv4(value, p_offset, *shape, softmax=any(others[15:]))

    return gradients_of(forward, (value, p_offset), grad_output)


@torch.no_grad()
def flash_deform_attn_forward(*arguments: Any) -> Tensor:
    """Returns [N, Q, M · D]; arguments as for `flash_deform_attn`."""
    return flash_deform_attn(*arguments)


def flash_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Any,
    level_start_index: Any,
    sampling_loc_attn: Tensor,
    grad_output: Tensor,
    *others: Any,
) -> list[Tensor]:
    """Returns the gradient of value, and the gradient of locations and weights in one tensor."""

    def forward(value: Tensor, points: Tensor) -> Tensor:
        return flash_deform_attn(value, spatial_shapes, level_start_index, points, *others)

    return gradients_of(forward, (value, sampling_loc_attn), grad_output)
