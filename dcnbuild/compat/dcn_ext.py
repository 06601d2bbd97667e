"""The module `DCN`: the raw calls of chengdazhi/Deformable-Convolution-V2-PyTorch for torch 1, and tteepe/DCNv2's
modules.

Two packages have this name. The first is a compiled extension, `import DCN`, whose calls return new tensors and take no
notice of `im2col_step`; Autograd records none of them. The second is `from DCN import DCNv2`.
"""

from __future__ import annotations

import torch
from torch import Tensor

import dcnbuild.ops.operators  # noqa: F401  registers them
from dcnbuild.compat import modulated_deform_conv
from dcnbuild.compat.dcn_v2_ext import (
    check_kernel,
    dcn_v2_psroi_pooling_backward,
    dcn_v2_psroi_pooling_forward,
)
from dcnbuild.compat.modulated_deform_conv import *  # noqa: F403
from dcnbuild.compat.raw_convolution import modulated_backward, modulated_forward

__all__ = [
    *modulated_deform_conv.__all__,
    "deform_conv_backward",
    "deform_conv_forward",
    "deform_psroi_pooling_backward",
    "deform_psroi_pooling_forward",
    "modulated_deform_conv_backward",
    "modulated_deform_conv_forward",
]


@torch.no_grad()
def modulated_deform_conv_forward(
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
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> Tensor:
    """Deformable convolution v2, [N, O, H', W']. Raises ValueError if weight has another kernel size."""
    check_kernel(weight, kernel_h, kernel_w)
    sizes = ([stride_h, stride_w], [pad_h, pad_w], [dilation_h, dilation_w])
    return modulated_forward(input, weight, bias, offset, mask, sizes, group, deformable_group)


@torch.no_grad()
def modulated_deform_conv_backward(
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
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> list[Tensor]:
    """Returns the gradients of input, offset, mask, weight and bias. Raises ValueError if weight has another kernel
    size.
    """
    check_kernel(weight, kernel_h, kernel_w)
    sizes = ([stride_h, stride_w], [pad_h, pad_w], [dilation_h, dilation_w])
    return modulated_backward(grad_output, input, weight, offset, mask, sizes, group, deformable_group)


@torch.no_grad()
def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    offset: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> Tensor:
    """Deformable convolution v1 with a bias, [N, O, H', W']. Raises ValueError if weight has another kernel size."""
    check_kernel(weight, kernel_h, kernel_w)
    output: Tensor = torch.ops.dcnbuild.deform_conv2d(
        *(input, offset, None, weight, bias, [stride_h, stride_w], [pad_h, pad_w]),
        *([dilation_h, dilation_w], group, deformable_group),
    )
    return output


@torch.no_grad()
def deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> list[Tensor]:
    """Returns the gradients of input, offset, weight and bias. Raises ValueError if weight has another kernel size."""
    check_kernel(weight, kernel_h, kernel_w)
    grads = torch.ops.dcnbuild.deform_conv2d_backward(
        *(grad_output, input, offset, None, weight, [stride_h, stride_w], [pad_h, pad_w]),
        *([dilation_h, dilation_w], group, deformable_group),
        *([True, True, False, True, True], torch.are_deterministic_algorithms_enabled()),
    )
    return [grads[0], grads[1], grads[3], grads[4]]


deform_psroi_pooling_forward = dcn_v2_psroi_pooling_forward
deform_psroi_pooling_backward = dcn_v2_psroi_pooling_backward
