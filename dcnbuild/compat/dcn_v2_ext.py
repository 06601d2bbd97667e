"""The raw calls of DCNv2's compiled extension (`_ext`, `dcn_v2_ext`, `_backend`). Autograd records none of them."""

from __future__ import annotations

import torch
from torch import Tensor

import dcnbuild.ops.operators  # noqa: F401  registers them
from dcnbuild.compat.raw_convolution import modulated_backward, modulated_forward
from dcnbuild.compat.shared import check_output_dim
from dcnbuild.compat.surplus import back_to_all, first_of_all
from dcnbuild.ops.reference.deform_pool import counts, psroi_pooling

__all__ = [
    "dcn_v2_backward",
    "dcn_v2_forward",
    "dcn_v2_psroi_pooling_backward",
    "dcn_v2_psroi_pooling_forward",
]


def check_kernel(weight: Tensor, kernel_h: int, kernel_w: int) -> None:
    """Raises ValueError where a weight, [O, C, kh, kw], has another kernel than the one given with it."""
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
    """Deformable convolution v2, [N, O, H', W']; for a larger offset or mask see surplus.py.

    Raises ValueError if weight has another kernel size.
    """
    check_kernel(weight, kernel_h, kernel_w)
    sizes = ([stride_h, stride_w], [pad_h, pad_w], [dilation_h, dilation_w])
    return modulated_forward(input, weight, bias, offset, mask, sizes, 1, deformable_group)


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
    """Returns the gradients of input, offset, mask, weight and bias. Raises ValueError if weight has another kernel
    size.
    """
    check_kernel(weight, kernel_h, kernel_w)
    sizes = ([stride_h, stride_w], [pad_h, pad_w], [dilation_h, dilation_w])
    return modulated_backward(grad_output, input, weight, offset, mask, sizes, 1, deformable_group)


@torch.no_grad()
def dcn_v2_psroi_pooling_forward(
    input: Tensor,
    bbox: Tensor,
    trans: Tensor,
    no_trans: int,
    spatial_scale: float,
    output_dim: int,
    group_size: int,
    pooled_size: int,
    part_size: int,
    sample_per_part: int,
    trans_std: float,
) -> tuple[Tensor, Tensor]:
    """Deformable PS-RoI pooling: returns the output and, for each element, the number of samples inside the image.

    The reference computes the counts; the backward call does not use them.
    """
    check_output_dim(input, output_dim, group_size)
    attributes = (spatial_scale, group_size, pooled_size, part_size, sample_per_part, trans_std)
    moved = None if no_trans else first_of_all("trans", trans, bbox, (part_size, part_size))
    output: Tensor = torch.ops.dcnbuild.deform_psroi_pool(input, bbox, moved, *attributes)
    p = psroi_pooling(*attributes)
    return output, counts(input, bbox, moved, p)


@torch.no_grad()
def dcn_v2_psroi_pooling_backward(
    out_grad: Tensor,
    input: Tensor,
    bbox: Tensor,
    trans: Tensor,
    top_count: Tensor,
    no_trans: int,
    spatial_scale: float,
    output_dim: int,
    group_size: int,
    pooled_size: int,
    part_size: int,
    sample_per_part: int,
    trans_std: float,
) -> tuple[Tensor, Tensor]:
    """Returns the gradients of input and trans (zeros if `no_trans`); counts the samples again and ignores
    `top_count`.
    """
    check_output_dim(input, output_dim, group_size)
    moved = None if no_trans else first_of_all("trans", trans, bbox, (part_size, part_size))
    grad_input, grad_trans = torch.ops.dcnbuild.deform_psroi_pool_backward(
        *(out_grad, input, bbox, moved),
        *(spatial_scale, group_size, pooled_size, part_size, sample_per_part, trans_std),
        *([True, not no_trans], torch.are_deterministic_algorithms_enabled()),
    )
    return grad_input, torch.zeros_like(trans) if no_trans else back_to_all(grad_trans, trans)
