"""The raw calls of `deform_unfold_cuda` (DGMN), which a `_C` like cvpods' has too (DynamicWeights): the columns of a
deformable convolution, [N, C·kh·kw, H'·W'].

They are what a depthwise deformable convolution computes whose kernels each pick one tap. Sizes are separate arguments,
x before y. The buffer `columns` is not touched, and `im2col_step` is ignored. Autograd records none of these calls.
"""

from __future__ import annotations

import torch
from torch import Tensor

import dcnbuild.ops.operators  # noqa: F401  registers them

__all__ = [
    "deform_unfold_backward_input",
    "deform_unfold_backward_input_cuda",
    "deform_unfold_forward",
    "deform_unfold_forward_cuda",
]


def _taps(input: Tensor, kH: int, kW: int) -> Tensor:
    """The weights [C·kh·kw, 1, kh, kw]: for each channel, each of its kernels picks one tap."""
    one = torch.eye(kH * kW, dtype=input.dtype, device=input.device).view(kH * kW, 1, kH, kW)
    return one.repeat(input.shape[1], 1, 1, 1)


@torch.no_grad()
def deform_unfold_forward(
    input: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    deformable_group: int,
    im2col_step: int,
) -> int:
    """Writes the columns to `output`; returns 1."""
    result = torch.ops.dcnbuild.deform_conv2d(
        *(input, offset, None, _taps(input, kH, kW), None),
        *([dH, dW], [padH, padW], [dilationH, dilationW], input.shape[1], deformable_group),
    ).flatten(2)
    output.resize_(result.shape).copy_(result)
    return 1


@torch.no_grad()
def deform_unfold_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    deformable_group: int,
    im2col_step: int,
) -> int:
    """Writes the gradients of input and offset to `grad_input` and `grad_offset`; returns 1."""
    taps = _taps(input, kH, kW)
    upstream = grad_output.reshape(input.shape[0], taps.shape[0], *offset.shape[2:])
    grads = torch.ops.dcnbuild.deform_conv2d_backward(
        *(upstream, input, offset, None, taps),
        *([dH, dW], [padH, padW], [dilationH, dilationW], input.shape[1], deformable_group),
        *([True, True, False, False, False], torch.are_deterministic_algorithms_enabled()),
    )
    grad_input.resize_(input.shape).copy_(grads[0])
    grad_offset.resize_(offset.shape).copy_(grads[1])
    return 1


deform_unfold_forward_cuda = deform_unfold_forward
deform_unfold_backward_input_cuda = deform_unfold_backward_input
