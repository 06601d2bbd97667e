"""The module `dcn_v2` of CharlesShang/DCNv2 and its forks."""

from __future__ import annotations

from torch import Tensor, nn

from dcnbuild.compat.convolutions import V2, PackedV2, constructor
from dcnbuild.compat.shared import Size, check_output_dim, deform_conv, fully_connected
from dcnbuild.compat.surplus import first_of_all
from dcnbuild.ops.deform_psroi_pool import deform_psroi_pool

__all__ = ["DCN", "DCNPooling", "DCN_sep", "DCNv2", "DCNv2Pooling", "dcn_v2_conv", "dcn_v2_pooling"]

_ARGUMENTS = "in_channels, out_channels, kernel_size, stride, padding, dilation=1, deformable_groups=1"


def dcn_v2_conv(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size,
    dilation: Size,
    deformable_groups: int,
) -> Tensor:
    """Deformable convolution v2; tensors as for `dcnbuild.deform_conv2d`."""
    return deform_conv(input, offset, mask, weight, bias, stride, padding, dilation, 1, deformable_groups)


class DCNv2(V2):
    """Deformable convolution v2, with offset and mask as arguments.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation: as for `dcnbuild.DeformConv2d`; stride and
            padding have no default.
        deformable_groups: number of sets of offsets, each for its share of the input channels.
    """

    __init__ = constructor(_ARGUMENTS)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W], offset [N, 2·G'·kh·kw, H', W'] and mask [N, G'·kh·kw, H', W'] → [N, O, H', W']."""
        return self.convolve(input, offset, mask)


class DCN(PackedV2, DCNv2):
    """Deformable convolution v2 that predicts offset and mask with `conv_offset_mask`; arguments as for `DCNv2`.

    `conv_offset_mask` has the module's dilation, which the original ignores; the shape of its weights is the same.
    """

    offset_name = "conv_offset_mask"
    __init__ = constructor(_ARGUMENTS)

    def start_offset(self) -> None:
        self.init_offset()

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] → [N, O, H', W']."""
        return self.convolve(input, *self.predict(input, modulated=True))


class DCN_sep(DCN):
    """EDVR's module: predicts offset and mask from other features than those that it convolves."""

    def forward(self, input: Tensor, fea: Tensor) -> Tensor:  # type: ignore[override]
        """Two tensors [N, C, H, W] → [N, O, H', W']."""
        return self.convolve(input, *self.predict(fea, modulated=True))


def dcn_v2_pooling(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    spatial_scale: float,
    pooled_size: int,
    output_dim: int,
    no_trans: bool,
    group_size: int = 1,
    part_size: int | None = None,
    sample_per_part: int = 4,
    trans_std: float = 0.0,
) -> Tensor:
    """Deformable PS-RoI pooling, see `dcnbuild.deform_psroi_pool`.

    Args:
        offset: the operator's `trans`; ignored if `no_trans`. If it is for more RoIs or has more cells, its first
            values are read, with a warning (surplus.py).
        output_dim: the output's channels; the input must have output_dim · group_size².

    Raises ValueError if the input has other channels, and the errors of `dcnbuild.deform_psroi_pool`.
    """
    check_output_dim(input, output_dim, group_size)
    if not no_trans:
        cells = pooled_size if part_size is None else part_size
        offset = first_of_all("offset", offset, rois, (cells, cells))
    return deform_psroi_pool(
        input,
        rois,
        None if no_trans else offset,
        spatial_scale=spatial_scale,
        pooled_size=pooled_size,
        group_size=group_size,
        part_size=part_size,
        sample_per_part=sample_per_part,
        trans_std=trans_std,
    )


class DCNv2Pooling(nn.Module):
    """Deformable PS-RoI pooling, with offsets as an argument; arguments as for `dcn_v2_pooling`."""

    def __init__(
        self,
        spatial_scale: float,
        pooled_size: int,
        output_dim: int,
        no_trans: bool,
        group_size: int = 1,
        part_size: int | None = None,
        sample_per_part: int = 4,
        trans_std: float = 0.0,
    ) -> None:
        super().__init__()
        self.spatial_scale = spatial_scale
        self.pooled_size = pooled_size
        self.output_dim = output_dim
        self.no_trans = no_trans
        self.group_size = group_size
        self.part_size = pooled_size if part_size is None else part_size
        self.sample_per_part = sample_per_part
        self.trans_std = trans_std

    def _pool(self, input: Tensor, rois: Tensor, offset: Tensor | None) -> Tensor:
        return dcn_v2_pooling(
            input,
            rois,
            input if offset is None else offset,
            self.spatial_scale,
            self.pooled_size,
            self.output_dim,
            offset is None,
            self.group_size,
            self.part_size,
            self.sample_per_part,
            self.trans_std,
        )

    def forward(self, input: Tensor, rois: Tensor, offset: Tensor) -> Tensor:
        """[N, C, H, W], [R, 5] and [R, 2 · classes, part_size, part_size] → [R, output_dim, pooled_size,
        pooled_size].
        """
        return self._pool(input, rois, None if self.no_trans else offset)


class DCNPooling(DCNv2Pooling):
    """Deformable PS-RoI pooling that predicts its offsets and a mask from a first pooling without them.

    Args:
        deform_fc_dim: width of the two hidden layers of `offset_mask_fc`, which does not exist if `no_trans`.
        Others as for `dcn_v2_pooling`; offsets need part_size to be pooled_size.

    Raises ValueError if part_size differs from pooled_size.
    """

    def __init__(
        self,
        spatial_scale: float,
        pooled_size: int,
        output_dim: int,
        no_trans: bool,
        group_size: int = 1,
        part_size: int | None = None,
        sample_per_part: int = 4,
        trans_std: float = 0.0,
        deform_fc_dim: int = 1024,
    ) -> None:
        super().__init__(
            spatial_scale,
            pooled_size,
            output_dim,
            no_trans,
            group_size,
            part_size,
            sample_per_part,
            trans_std,
        )
        self.deform_fc_dim = deform_fc_dim
        if no_trans:
            return
        if self.part_size != pooled_size:
            raise ValueError(
                f"DCNPooling predicts {pooled_size}x{pooled_size} offsets: part_size must be {pooled_size} too, "
                f"got {part_size}"
            )
        bins = pooled_size**2
        self.offset_mask_fc = fully_connected(bins * output_dim, deform_fc_dim, deform_fc_dim, 3 * bins)

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] and [R, 5] → [R, output_dim, pooled_size, pooled_size]."""
        pooled = self._pool(input, rois, None)
        if self.no_trans:
            return pooled
        size = (3, self.pooled_size, self.pooled_size)
        predicted = self.offset_mask_fc(pooled.flatten(1)).unflatten(1, size)
        return self._pool(input, rois, predicted[:, :2]) * predicted[:, 2:].sigmoid()
