"""The deformable operators of mmcv.ops."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dcnbuild.compat.convolutions import (
    LIKE_CONV2D,
    V2,
    OldConvolution,
    PackedV1,
    PackedV2,
    PaddedV1,
    constructor,
)
from dcnbuild.compat.mmcv_attn import (
    MultiScaleDeformableAttention,
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from dcnbuild.compat.mmcv_roi_pool import (
    DeformRoIPool,
    DeformRoIPoolPack,
    ModulatedDeformRoIPoolPack,
    deform_roi_pool,
)
from dcnbuild.compat.shared import Size, as_function, deform_conv, kaiming

__all__ = [
    "DeformConv2d",
    "DeformConv2dFunction",
    "DeformConv2dPack",
    "DeformRoIPool",
    "DeformRoIPoolPack",
    "ModulatedDeformConv2d",
    "ModulatedDeformConv2dFunction",
    "ModulatedDeformConv2dPack",
    "ModulatedDeformRoIPoolPack",
    "MultiScaleDeformableAttention",
    "MultiScaleDeformableAttnFunction",
    "deform_conv2d",
    "deform_roi_pool",
    "modulated_deform_conv2d",
    "multi_scale_deformable_attn_pytorch",
]

_V1 = f"{LIKE_CONV2D}, deform_groups=1, bias=False, im2col_step=32, **renamed"
_V2 = f"{LIKE_CONV2D}, deform_groups=1, bias=True, **renamed"


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deform_groups: int = 1,
    bias: bool = False,
    im2col_step: int = 32,
) -> Tensor:
    """Deformable convolution v1, in the dtype of `offset`.

    `im2col_step` is ignored, and need not divide the batch. Raises ValueError if `bias` is not False.
    """
    if bias:
        raise ValueError("deform_conv2d has no bias: bias must be False, as in mmcv")
    return deform_conv(
        *(input, offset, None, weight, None, stride, padding, dilation, groups, deform_groups),
        one_dtype=True,
    )


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
    deform_groups: int = 1,
) -> Tensor:
    """Deformable convolution v2, in the dtype of `offset`."""
    return deform_conv(
        *(input, offset, mask, weight, bias, stride, padding, dilation, groups, deform_groups),
        one_dtype=True,
    )


DeformConv2dFunction = as_function(deform_conv2d)
ModulatedDeformConv2dFunction = as_function(modulated_deform_conv2d)


class _Mmcv(OldConvolution):
    """Base of mmcv's modules: computes in the dtype of the offset."""

    groups_name = "deform_groups"
    one_dtype = True
    deform_groups: int
    # mmcv and mmdetection treat these modules as a Conv2d, and read these attributes.
    transposed = False
    output_padding = (0,)


class DeformConv2d(_Mmcv, PaddedV1):
    """Deformable convolution v1, with the offset as an argument.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups: as for `dcnbuild.DeformConv2d`.
        deform_groups: number of sets of offsets, each for its share of the input channels; deformable_groups works too.
        bias: must be False.
        im2col_step: ignored.

    Raises ValueError for a bias, or groups that do not divide the channels.
    """

    allows_bias = False
    __init__ = constructor(_V1)

    def reset_parameters(self) -> None:
        kaiming(self)


class DeformConv2dPack(PackedV1, DeformConv2d):
    """Deformable convolution v1 that predicts its offset with `conv_offset`; arguments as for `DeformConv2d`."""

    __init__ = constructor(_V1)


class ModulatedDeformConv2d(_Mmcv, V2):
    """Deformable convolution v2, with offset and mask as arguments; the others as for `DeformConv2d`, with a bias."""

    __init__ = constructor(_V2)


class ModulatedDeformConv2dPack(PackedV2, ModulatedDeformConv2d):
    """Deformable convolution v2 that predicts offset and mask with `conv_offset`; arguments as for `DeformConv2d`."""

    __init__ = constructor(_V2)

    def set_up(self, *args: Any, **kwargs: Any) -> None:
        super().set_up(*args, **kwargs)
        # mmcv draws the weights twice; drawing twice here too gives the same weights for a seed.
        self.init_weights()
