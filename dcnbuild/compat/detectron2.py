"""The deformable convolutions of detectron2.layers (detectron2/layers/deform_conv.py)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from dcnbuild.compat.convolutions import LIKE_CONV2D, V2, OldConvolution, constructor
from dcnbuild.compat.shared import Size, kaiming
from dcnbuild.compat.shared import deform_conv as _deform_conv

__all__ = ["DeformConv", "ModulatedDeformConv", "deform_conv", "modulated_deform_conv"]


def deform_conv(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deformable_groups: int = 1,
    im2col_step: int = 64,
) -> Tensor:
    """Deformable convolution v1; `im2col_step` is ignored, and need not divide the batch."""
    return _deform_conv(input, offset, None, weight, None, stride, padding, dilation, groups, deformable_groups)


def modulated_deform_conv(
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
) -> Tensor:
    """Deformable convolution v2."""
    return _deform_conv(input, offset, mask, weight, bias, stride, padding, dilation, groups, deformable_groups)


class _Convolution(OldConvolution):
    """Base of both: applies a norm and an activation after the convolution."""

    norm: nn.Module | None
    activation: Callable[[Tensor], Tensor] | None

    def reset_parameters(self) -> None:
        kaiming(self)

    def convolve(self, x: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        x = super().convolve(x, offset, mask)
        if self.norm is not None:
            x = self.norm(x)
        return x if self.activation is None else self.activation(x)


class DeformConv(_Convolution):
    """Deformable convolution v1 without a bias.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups: as for `dcnbuild.DeformConv2d`.
        deformable_groups: number of sets of offsets, each for its share of the input channels.
        bias: must be False.
        norm, activation: applied to the result, in this order.

    Raises ValueError for a bias, or groups that do not divide the channels.
    """

    allows_bias = False
    __init__ = constructor(f"{LIKE_CONV2D}, deformable_groups=1, bias=False, norm=None, activation=None")

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:  # type: ignore[override]
        """x [N, C, H, W], offset [N, 2·deformable_groups·kh·kw, H', W'] → [N, O, H', W']."""
        return self.convolve(x, offset)


class ModulatedDeformConv(_Convolution, V2):
    """Deformable convolution v2; arguments as for `DeformConv`, with a bias."""

    __init__ = constructor(f"{LIKE_CONV2D}, deformable_groups=1, bias=True, norm=None, activation=None")
