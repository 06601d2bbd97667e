"""The two-dimensional functions of CHONSPQX/modulated-deform-conv, which its module `modulated_deform_conv` has beside
three-dimensional ones. They take `in_step` last, which changes nothing here.
"""

from __future__ import annotations

from torch import Tensor

from dcnbuild.compat.shared import Size, as_function, deform_conv

__all__ = [
    "DeformConv2dFunction",
    "ModulatedDeformConv2dFunction",
    "deform_conv2d",
    "modulated_deform_conv2d",
]


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deformable_groups: int = 1,
    in_step: int = 64,
) -> Tensor:
    """Deformable convolution v1, with a bias."""
    return deform_conv(input, offset, None, weight, bias, stride, padding, dilation, groups, deformable_groups)


def modulated_deform_conv2d(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deformable_groups: int = 1,
    in_step: int = 64,
) -> Tensor:
    """Deformable convolution v2."""
    return deform_conv(input, offset, mask, weight, bias, stride, padding, dilation, groups, deformable_groups)


DeformConv2dFunction = as_function(deform_conv2d)
ModulatedDeformConv2dFunction = as_function(modulated_deform_conv2d)
