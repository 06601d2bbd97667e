"""The raw calls of the compiled extension of old mmdetection and BasicSR, under both of its names.

`deform_conv_cuda` (mmdetection) and `deform_conv_ext` (mmdetection 2, BasicSR) differ only in their functions' names.
Calls write results into the tensors given for them, and add the parameters' gradients to their tensors. They do not
touch the buffers `columns` and `ones`, and ignore `im2col_step`. Sizes are separate arguments, x before y for v1 and y
before x for v2. Autograd records none of these calls.
"""

from __future__ import annotations

import torch
from torch import Tensor

import dcnbuild.ops.operators  # noqa: F401  registers them
from dcnbuild.compat.raw_convolution import modulated_backward, modulated_forward

__all__ = [
    "deform_conv_backward_input",
    "deform_conv_backward_input_cuda",
    "deform_conv_backward_parameters",
    "deform_conv_backward_parameters_cuda",
    "deform_conv_forward",
    "deform_conv_forward_cuda",
    "modulated_deform_conv_backward",
    "modulated_deform_conv_cuda_backward",
    "modulated_deform_conv_cuda_forward",
    "modulated_deform_conv_forward",
]

#: The gradients of input, offset, mask, weight and bias that a call needs.
_V1_FLAGS = {
    "input": [True, True, False, False, False],
    "weight": [False, False, False, True, False],
}


@torch.no_grad()
def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> int:
    """Writes a deformable convolution v1 to `output`; returns 1."""
    result = torch.ops.dcnbuild.deform_conv2d(
        *(input, offset, None, weight, None),
        *([dH, dW], [padH, padW], [dilationH, dilationW], group, deformable_group),
    )
    output.resize_(result.shape).copy_(result)
    return 1


@torch.no_grad()
def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradInput: Tensor,
    gradOffset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> int:
    """Writes the gradients of input and offset to `gradInput` and `gradOffset`; returns 1."""
    grads = torch.ops.dcnbuild.deform_conv2d_backward(
        *(gradOutput, input, offset, None, weight),
        *([dH, dW], [padH, padW], [dilationH, dilationW], group, deformable_group),
        *(_V1_FLAGS["input"], torch.are_deterministic_algorithms_enabled()),
    )
    gradInput.resize_(input.shape).copy_(grads[0])
    gradOffset.resize_(offset.shape).copy_(grads[1])
    return 1


@torch.no_grad()
def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradWeight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> int:
    """Adds `scale` times the gradient of the weight to `gradWeight`; returns 1."""
    grads = torch.ops.dcnbuild.deform_conv2d_backward(
        *(gradOutput, input, offset, None, gradWeight),
        *([dH, dW], [padH, padW], [dilationH, dilationW], group, deformable_group),
        *(_V1_FLAGS["weight"], torch.are_deterministic_algorithms_enabled()),
    )
    gradWeight.add_(grads[3], alpha=scale)
    return 1


@torch.no_grad()
def modulated_deform_conv_forward(
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
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Writes a deformable convolution v2 to `output`; for a larger offset or mask see surplus.py."""
    sizes = ([stride_h, stride_w], [pad_h, pad_w], [dilation_h, dilation_w])
    used_bias = bias if with_bias else None
    result = modulated_forward(input, weight, used_bias, offset, mask, sizes, group, deformable_group)
    output.resize_(result.shape).copy_(result)


@torch.no_grad()
def modulated_deform_conv_backward(
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
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Writes the gradients of input, offset and mask to `grad_input`, `grad_offset` and `grad_mask`; adds those of
    weight and bias to `grad_weight` and `grad_bias`.
    """
    sizes = ([stride_h, stride_w], [pad_h, pad_w], [dilation_h, dilation_w])
    grads = modulated_backward(
        *(grad_output, input, weight, offset, mask, sizes, group, deformable_group), with_bias=with_bias
    )
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[1])
    grad_mask.copy_(grads[2])
    grad_weight.add_(grads[3])
    if with_bias:
        grad_bias.add_(grads[4])


deform_conv_forward_cuda = deform_conv_forward
deform_conv_backward_input_cuda = deform_conv_backward_input
deform_conv_backward_parameters_cuda = deform_conv_backward_parameters
modulated_deform_conv_cuda_forward = modulated_deform_conv_forward
modulated_deform_conv_cuda_backward = modulated_deform_conv_backward
