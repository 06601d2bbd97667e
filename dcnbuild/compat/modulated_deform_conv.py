"""tteepe/DCNv2 (the package `DCN`): mmcv's v2 modules under DCNv2's names, with `deformable_groups` as an argument."""

from __future__ import annotations

from dcnbuild.compat import mmcv
from dcnbuild.compat.convolutions import LIKE_CONV2D, PackedV2, constructor
from dcnbuild.compat.mmcv import ModulatedDeformConv2dFunction, modulated_deform_conv2d

__all__ = [
    "DCN",
    "DCNv2",
    "ModulatedDeformConv2d",
    "ModulatedDeformConv2dFunction",
    "ModulatedDeformConv2dPack",
    "dcn_v2_conv",
    "modulated_deform_conv2d",
]

_ARGUMENTS = f"{LIKE_CONV2D}, deform_groups=1, deformable_groups=None, bias=True"


class ModulatedDeformConv2d(mmcv.ModulatedDeformConv2d):
    """Deformable convolution v2, with offset and mask as arguments; the others as in mmcv.

    `deformable_groups`, if given, replaces `deform_groups`.
    """

    both_names = True
    __init__ = constructor(_ARGUMENTS)


class ModulatedDeformConv2dPack(PackedV2, ModulatedDeformConv2d):
    """Deformable convolution v2 that predicts offset and mask with `conv_offset`."""

    __init__ = constructor(_ARGUMENTS)


DCNv2 = ModulatedDeformConv2d
DCN = ModulatedDeformConv2dPack
#: Takes `groups` before `deform_groups`, like that package's function: one argument more than DCNv2's.
dcn_v2_conv = modulated_deform_conv2d
