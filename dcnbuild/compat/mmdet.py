"""The package `ops/dcn` of mmdetection 1.x, which BasicSR, EDVR, SOLO, TTFNet, s2anet, AlphaPose, DB,
maskrcnn_benchmark and many others have copied, in one file or in several (deform_conv, deform_pool, modules,
functions).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dcnbuild.compat.convolutions import (
    LIKE_CONV2D,
    V2,
    PackedV1,
    PackedV2,
    PaddedV1,
    constructor,
)
from dcnbuild.compat.dcn_v2 import dcn_v2_pooling
from dcnbuild.compat.detectron2 import deform_conv, modulated_deform_conv
from dcnbuild.compat.shared import Size, as_function, fully_connected
from dcnbuild.ops.arguments import pair

__all__ = [
    "DeformConv",
    "DeformConvFunction",
    "DeformConvPack",
    "DeformRoIPooling",
    "DeformRoIPoolingFunction",
    "DeformRoIPoolingPack",
    "ModulatedDeformConv",
    "ModulatedDeformConvFunction",
    "ModulatedDeformConvPack",
    "ModulatedDeformRoIPoolingPack",
    "deform_conv",
    "deform_roi_pooling",
    "modulated_deform_conv",
]

DeformConvFunction = as_function(deform_conv)
ModulatedDeformConvFunction = as_function(modulated_deform_conv)

_V1 = f"{LIKE_CONV2D}, deformable_groups=1, bias=False"
_V2 = f"{LIKE_CONV2D}, deformable_groups=1, bias=True"


class DeformConv(PaddedV1):
    """Deformable convolution v1, with the offset as an argument.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups: as for `dcnbuild.DeformConv2d`.
        deformable_groups: number of sets of offsets, each for its share of the input channels.
        bias: must be False.

    Raises ValueError for a bias, or groups that do not divide the channels.
    """

    # mmdetection treats these modules as a Conv2d, and reads these attributes.
    transposed = False
    output_padding = (0,)
    __init__ = constructor(_V1)


class DeformConvPack(PackedV1, DeformConv):
    """Deformable convolution v1 that predicts its offset with `conv_offset`; arguments as for `DeformConv`."""

    __init__ = constructor(_V1)


class ModulatedDeformConv(V2):
    """Deformable convolution v2, with offset and mask as arguments; the others as for `DeformConv`, with a bias."""

    transposed = False
    output_padding = (0,)
    __init__ = constructor(_V2)


class ModulatedDeformConvPack(PackedV2, ModulatedDeformConv):
    """Deformable convolution v2 that predicts offset and mask with `conv_offset`; arguments as for `DeformConv`."""

    __init__ = constructor(_V2)


def deform_roi_pooling(
    data: Tensor,
    rois: Tensor,
    offset: Tensor,
    spatial_scale: float,
    out_size: Size,
    out_channels: int,
    no_trans: bool,
    group_size: int = 1,
    part_size: int | None = None,
    sample_per_part: int = 4,
    trans_std: float = 0.0,
) -> Tensor:
    """Calls `dcnbuild.compat.dcn_v2.dcn_v2_pooling`; out_size is a number, or a pair of equal numbers.

    Raises ValueError for two different numbers, and the errors of that function.
    """
    return dcn_v2_pooling(
        *(data, rois, offset, spatial_scale, _square(out_size), out_channels, no_trans),
        *(group_size, part_size, sample_per_part, trans_std),
    )


DeformRoIPoolingFunction = as_function(deform_roi_pooling)


def _square(out_size: Size) -> int:
    rows, columns = pair("out_size", out_size, 1)
    if rows != columns:
        raise ValueError(f"out_size must be one number, or the same one twice, got {out_size}")
    return rows


class DeformRoIPooling(nn.Module):
    """Deformable PS-RoI pooling, with offsets as an argument; arguments as for `deform_roi_pooling`."""

    def __init__(
        self,
        spatial_scale: float,
        out_size: Size,
        out_channels: int,
        no_trans: bool,
        group_size: int = 1,
        part_size: int | None = None,
        sample_per_part: int = 4,
        trans_std: float = 0.0,
    ) -> None:
        super().__init__()
        self.spatial_scale = spatial_scale
        self.out_size = pair("out_size", out_size, 1)
        self.out_channels = out_channels
        self.no_trans = no_trans
        self.group_size = group_size
        self.part_size = _square(out_size) if part_size is None else part_size
        self.sample_per_part = sample_per_part
        self.trans_std = trans_std

    def pool(self, data: Tensor, rois: Tensor, offset: Tensor | None) -> Tensor:
        """Pools with these offsets; with None, without offsets."""
        return deform_roi_pooling(
            *(data, rois, data if offset is None else offset, self.spatial_scale, self.out_size),
            *(self.out_channels, offset is None, self.group_size, _square(self.part_size)),
            *(self.sample_per_part, self.trans_std),
        )

    def forward(self, data: Tensor, rois: Tensor, offset: Tensor) -> Tensor:
        """[N, C, H, W], [R, 5] and [R, 2 · classes, part_size, part_size] → [R, out_channels, out_size, out_size]."""
        return self.pool(data, rois, None if self.no_trans else offset)


class DeformRoIPoolingPack(DeformRoIPooling):
    """Deformable PS-RoI pooling that predicts its offsets from a first pooling without them.

    Args:
        num_offset_fcs: number of linear layers of `offset_fc`, which does not exist if `no_trans`.
        deform_fc_channels: width of its hidden layers.
        Others as for `deform_roi_pooling`.
    """

    def __init__(
        self,
        spatial_scale: float,
        out_size: Size,
        out_channels: int,
        no_trans: bool,
        group_size: int = 1,
        part_size: int | None = None,
        sample_per_part: int = 4,
        trans_std: float = 0.0,
        num_offset_fcs: int = 3,
        deform_fc_channels: int = 1024,
    ) -> None:
        super().__init__(
            *(spatial_scale, out_size, out_channels, no_trans, group_size, part_size),
            *(sample_per_part, trans_std),
        )
        self.num_offset_fcs = num_offset_fcs
        self.deform_fc_channels = deform_fc_channels
        if not no_trans:
            self.offset_fc = fully_connected(*self._widths(num_offset_fcs, 2))

    def _widths(self, layers: int, per_bin: int) -> list[int]:
        bins = _square(self.out_size) ** 2
        return [
            bins * self.out_channels,
            *[self.deform_fc_channels] * (layers - 1),
            bins * per_bin,
        ]

    def _pool_twice(self, data: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the pooling with the predicted offsets, and the pooling without them, flattened."""
        side = _square(self.out_size)
        still = self.pool(data, rois, None).flatten(1)
        offset = self.offset_fc(still).unflatten(1, (2, side, side))
        return self.pool(data, rois, offset), still

    def forward(self, data: Tensor, rois: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] and [R, 5] → [R, out_channels, out_size, out_size]."""
        return self.pool(data, rois, None) if self.no_trans else self._pool_twice(data, rois)[0]


class ModulatedDeformRoIPoolingPack(DeformRoIPoolingPack):
    """Like `DeformRoIPoolingPack`, times a mask that `mask_fc`, of `num_mask_fcs` layers, predicts."""

    def __init__(
        self,
        spatial_scale: float,
        out_size: Size,
        out_channels: int,
        no_trans: bool,
        group_size: int = 1,
        part_size: int | None = None,
        sample_per_part: int = 4,
        trans_std: float = 0.0,
        num_offset_fcs: int = 3,
        num_mask_fcs: int = 2,
        deform_fc_channels: int = 1024,
    ) -> None:
        super().__init__(
            *(spatial_scale, out_size, out_channels, no_trans, group_size, part_size),
            *(sample_per_part, trans_std, num_offset_fcs, deform_fc_channels),
        )
        self.num_mask_fcs = num_mask_fcs
        if not no_trans:
            self.mask_fc = fully_connected(*self._widths(num_mask_fcs, 1))
            self.mask_fc.append(nn.Sigmoid())

    def forward(self, data: Tensor, rois: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] and [R, 5] → [R, out_channels, out_size, out_size]."""
        if self.no_trans:
            return self.pool(data, rois, None)
        pooled, still = self._pool_twice(data, rois)
        side = _square(self.out_size)
        return torch.mul(pooled, self.mask_fc(still).unflatten(1, (1, side, side)))
