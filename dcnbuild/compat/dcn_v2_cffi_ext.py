"""The raw calls of DCNv2's extension for torch 0.4, `_ext.dcn_v2`, which torch.utils.ffi made.

They write results into the tensors given for them, add the gradients of weight and bias to theirs, and leave the
buffers `ones` and `columns` alone. `_ext.modulated_dcn` of chengdazhi's first release has the same under mmdetection's
names. Autograd records none of these calls.
"""

from __future__ import annotations

from torch import Tensor

from dcnbuild.compat import deform_conv_ext
from dcnbuild.compat.deform_pool_ext import (
    deform_psroi_pooling_cuda_backward,
    deform_psroi_pooling_cuda_forward,
)

__all__ = [
    "dcn_v2_cuda_backward",
    "dcn_v2_cuda_forward",
    "dcn_v2_psroi_pooling_cuda_backward",
    "dcn_v2_psroi_pooling_cuda_forward",
    "deform_psroi_pooling_cuda_backward",
    "deform_psroi_pooling_cuda_forward",
    "modulated_deform_conv_cuda_backward",
    "modulated_deform_conv_cuda_forward",
]


def dcn_v2_cuda_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    deformable_group: int,
) -> None:
    """Writes a deformable convolution v2, [N, O, H', W'], to `output`."""
    deform_conv_ext.modulated_deform_conv_forward(
        *(input, weight, bias, ones, offset, mask, output, columns, kernel_h, kernel_w),
        *(stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, 1, deformable_group, True),
    )


def dcn_v2_cuda_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
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
) -> None:
    """Writes the gradients of input, offset and mask to their tensors, and adds those of weight and bias to theirs."""
    deform_conv_ext.modulated_deform_conv_backward(
        *(input, weight, bias, ones, offset, mask, columns, grad_input, grad_weight, grad_bias),
        *(grad_offset, grad_mask, grad_output, kernel_h, kernel_w, stride_h, stride_w, pad_h),
        *(pad_w, dilation_h, dilation_w, 1, deformable_group, True),
    )


modulated_deform_conv_cuda_forward = dcn_v2_cuda_forward
modulated_deform_conv_cuda_backward = dcn_v2_cuda_backward
dcn_v2_psroi_pooling_cuda_forward = deform_psroi_pooling_cuda_forward
dcn_v2_psroi_pooling_cuda_backward = deform_psroi_pooling_cuda_backward
