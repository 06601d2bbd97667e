"""The two-dimensional raw calls of CHONSPQX/modulated-deform-conv's extension `MDCONV_CUDA`. Autograd records none.

Sizes are separate arguments, y before x, then groups, deformable groups, `in_step` (ignored) and whether there is a
bias. Results are written to the tensors given for them; gradients are added.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dcnbuild.compat.mdconv import deform_conv2d, modulated_deform_conv2d
from dcnbuild.compat.shared import gradients_of

__all__ = [
    "deform_conv2d_backward_cuda",
    "deform_conv2d_forward_cuda",
    "modulated_deform_conv2d_backward_cuda",
    "modulated_deform_conv2d_forward_cuda",
]


def _arguments(numbers: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns stride, padding, dilation and the groups, of a call's last twelve arguments."""
    _, _, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups, deformable_groups, _, _ = numbers
    return (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), groups, deformable_groups


@torch.no_grad()
def deform_conv2d_forward_cuda(
    input: Tensor, weight: Tensor, bias: Tensor, offset: Tensor, output: Tensor, *numbers: Any
) -> None:
    """Writes a deformable convolution v1 to `output`."""
    result = deform_conv2d(input, offset, weight, bias if numbers[-1] else None, *_arguments(numbers))
    output.resize_(result.shape).copy_(result)


@torch.no_grad()
def modulated_deform_conv2d_forward_cuda(
    input: Tensor, weight: Tensor, bias: Tensor, offset: Tensor, mask: Tensor, output: Tensor, *numbers: Any
) -> None:
    """Writes a deformable convolution v2 to `output`."""
    result = modulated_deform_conv2d(input, offset, mask, weight, bias if numbers[-1] else None, *_arguments(numbers))
    output.resize_(result.shape).copy_(result)


def deform_conv2d_backward_cuda(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_output: Tensor,
    *numbers: Any,
) -> None:
    """Adds the gradients of v1 to the tensors given for them."""
    leaves, into = [input, offset, weight], [grad_input, grad_offset, grad_weight]
    if numbers[-1]:
        leaves, into = [*leaves, bias], [*into, grad_bias]

    def forward(input: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return deform_conv2d(input, offset, weight, bias, *_arguments(numbers))

    for each, grad in zip(into, gradients_of(forward, leaves, grad_output)):
        each.add_(grad)


def modulated_deform_conv2d_backward_cuda(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    offset: Tensor,
    mask: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    *numbers: Any,
) -> None:
    """Adds the gradients of v2 to the tensors given for them."""
    leaves, into = [input, offset, mask, weight], [grad_input, grad_offset, grad_mask, grad_weight]
    if numbers[-1]:
        leaves, into = [*leaves, bias], [*into, grad_bias]

    def forward(input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return modulated_deform_conv2d(input, offset, mask, weight, bias, *_arguments(numbers))

    for each, grad in zip(into, gradients_of(forward, leaves, grad_output)):
        each.add_(grad)
