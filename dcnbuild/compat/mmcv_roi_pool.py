"""The deformable RoI pooling of mmcv.ops."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dcnbuild.compat.shared import Size, fully_connected
from dcnbuild.compat.surplus import first_of_all
from dcnbuild.ops import deform_roi_pool as operator
from dcnbuild.ops.arguments import pair


def deform_roi_pool(
    input: Tensor,
    rois: Tensor,
    offset: Tensor | None,
    output_size: Size,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    gamma: float = 0.1,
) -> Tensor:
    """Deformable RoI pooling, see `dcnbuild.deform_roi_pool`; an empty `offset` means no offset, like None.

    If the offset is for more RoIs or has more cells, its first values are read, with a warning (surplus.py).
    """
    if offset is not None and offset.numel() == 0 and rois.shape[0] > 0:
        offset = None
    if offset is not None:
        offset = first_of_all("offset", offset, rois, pair("output_size", output_size, 1))
    return operator.deform_roi_pool(
        input,
        rois,
        offset,
        output_size=output_size,
        spatial_scale=spatial_scale,
        sampling_ratio=sampling_ratio,
        gamma=gamma,
    )


class DeformRoIPool(nn.Module):
    """Deformable RoI pooling, with offsets as an argument; arguments as for `dcnbuild.deform_roi_pool`."""

    def __init__(
        self,
        output_size: Size,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        gamma: float = 0.1,
    ) -> None:
        super().__init__()
        self.output_size = pair("output_size", output_size, 1)
        self.spatial_scale = float(spatial_scale)
        self.sampling_ratio = int(sampling_ratio)
        self.gamma = float(gamma)

    def forward(self, input: Tensor, rois: Tensor, offset: Tensor | None = None) -> Tensor:
        """[N, C, H, W], [R, 5] and [R, 2, rows, columns] → [R, C, rows, columns]."""
        return deform_roi_pool(
            input,
            rois,
            offset,
            self.output_size,
            self.spatial_scale,
            self.sampling_ratio,
            self.gamma,
        )


class DeformRoIPoolPack(DeformRoIPool):
    """Deformable RoI pooling that predicts its offsets from a first pooling without them.

    Args:
        output_channels: C of the input.
        deform_fc_channels: width of the hidden layers.
        Others as for `DeformRoIPool`.
    """

    def __init__(
        self,
        output_size: Size,
        output_channels: int,
        deform_fc_channels: int = 1024,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        gamma: float = 0.1,
    ) -> None:
        super().__init__(output_size, spatial_scale, sampling_ratio, gamma)
        self.output_channels = output_channels
        self.deform_fc_channels = deform_fc_channels
        bins = self.output_size[0] * self.output_size[1]
        self.offset_fc = fully_connected(bins * output_channels, deform_fc_channels, deform_fc_channels, 2 * bins)

    def _pool_twice(self, input: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the pooling with the predicted offsets, and the pooling without them, flattened."""
        if input.dim() == 4 and input.shape[1] != self.output_channels:
            raise ValueError(f"input has {input.shape[1]} channels, expected output_channels={self.output_channels}")
        still = super().forward(input, rois).flatten(1)
        offset = self.offset_fc(still).unflatten(1, (2, *self.output_size))
        return super().forward(input, rois, offset), still

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] and [R, 5] → [R, C, rows, columns]. Raises ValueError if C is not output_channels."""
        return self._pool_twice(input, rois)[0]


class ModulatedDeformRoIPoolPack(DeformRoIPoolPack):
    """Like `DeformRoIPoolPack`, times a predicted mask."""

    def __init__(
        self,
        output_size: Size,
        output_channels: int,
        deform_fc_channels: int = 1024,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        gamma: float = 0.1,
    ) -> None:
        super().__init__(output_size, output_channels, deform_fc_channels, spatial_scale, sampling_ratio, gamma)
        bins = self.output_size[0] * self.output_size[1]
        self.mask_fc = fully_connected(bins * output_channels, deform_fc_channels, bins)
        self.mask_fc.append(nn.Sigmoid())

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] and [R, 5] → [R, C, rows, columns]. Raises ValueError if C is not output_channels."""
        pooled, still = self._pool_twice(input, rois)
        mask: Tensor = self.mask_fc(still).unflatten(1, (1, *self.output_size))
        return torch.mul(pooled, mask)
