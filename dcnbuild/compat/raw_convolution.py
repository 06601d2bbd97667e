"""Computes what the raw calls of the old extensions for deformable convolution v2 have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dcnbuild.compat.surplus import back_to_full, first_of_both


def modulated_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    offset: Tensor,
    mask: Tensor,
    sizes: Sequence[list[int]],
    *groups: int,
) -> Tensor:
    """Returns the convolution, [N, O, H', W'].

    Args:
        offset, mask: may be larger than the call needs, see surplus.py.
        sizes: stride, padding and dilation, each as [height, width].
        groups: those of the weight, then those of the offset.
    """
    offset, mask = first_of_both(offset, mask, input, weight, *sizes)
    output: Tensor = torch.ops.dcnbuild.deform_conv2d(input, offset, mask, weight, bias, *sizes, *groups)
    return output


def modulated_backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor,
    sizes: Sequence[list[int]],
    *groups: int,
    with_bias: bool = True,
) -> list[Tensor]:
    """Returns the gradients of input, offset, mask, weight and bias; the last has no elements without `with_bias`."""
    first_offset, first_mask = first_of_both(offset, mask, input, weight, *sizes)
    grads = torch.ops.dcnbuild.deform_conv2d_backward(
        *(grad_output, input, first_offset, first_mask, weight, *sizes, *groups),
        *([True, True, True, True, with_bias], torch.are_deterministic_algorithms_enabled()),
    )
    return [grads[0], back_to_full(grads[1], offset), back_to_full(grads[2], mask), *grads[3:]]
