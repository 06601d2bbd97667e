"""The raw calls of DCNv2's compiled extension (`_ext`, `dcn_v2_ext`, `_backend`). Nothing here is recorded by autograd."""

from __future__ import annotations

import torch
from torch import Tensor

import dcnbuild.ops.deform_conv2d  # noqa: F401  registers the operators

__all__ = ["dcn_v2_backward", "dcn_v2_forward"]


def _check_kernel(weight: Tensor, kernel_h: int, kernel_w: int) -> None:
    if tuple(weight.shape[2:]) != (kernel_h, kernel_w):
        raise ValueError(
            f"weight {tuple(weight.shape)} has not the kernel of {kernel_h}x{kernel_w} that was given with it"
        )


@torch.no_grad()
def dcn_v2_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    deformable_group: int,
) -> Tensor:
    """Deformable convolution v2: [N, O, H', W']. Raises ValueError if weight has another kernel size."""
    _check_kernel(weight, kernel_h, kernel_w)
    output: Tensor = torch.ops.dcnbuild.deform_conv2d(
        *(input, offset, mask, weight, bias),
        *([stride_h, stride_w], [pad_h, pad_w], [dilation_h, dilation_w], 1, deformable_group),
    )
    return output


@torch.no_grad()
def dcn_v2_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    offset: Tensor,
    mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    deformable_group: int,
) -> list[Tensor]:
    """The gradients of input, offset, mask, weight and bias. Raises ValueError if weight has another kernel size."""
    _check_kernel(weight, kernel_h, kernel_w)
    return list(
        torch.ops.dcnbuild.deform_conv2d_backward(
            *(grad_output, input, offset, mask, weight),
            *([stride_h, stride_w], [pad_h, pad_w], [dilation_h, dilation_w], 1, deformable_group),
            *([True] * 5, torch.are_deterministic_algorithms_enabled()),
        )
    )
