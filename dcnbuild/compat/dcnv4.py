"""DCNv4 and its attention under the names of the package `DCNv4`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dcnbuild.compat.attention import Shapes, attend
from dcnbuild.compat.dcnv3 import dcnv3_core_pytorch
from dcnbuild.compat.ms_deform_attn import MSDeformAttn
from dcnbuild.compat.shared import as_function
from dcnbuild.nn import DCNv4
from dcnbuild.nn.dcnv4 import unpacked

__all__ = ["DCNv4", "DCNv4Function", "FlashDeformAttn", "FlashDeformAttnFunction"]


def dcnv4(
    input: Tensor,
    offset_mask: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    group_channels: int,
    offset_scale: float,
    im2col_step: int,
    remove_center: int,
    *launch: Any,
    softmax: bool = False,
) -> Tensor:
    """Returns [N, H', W', C].

    Args:
        offset_mask: [N, H', W', at least 3·G·K]: for each group the K offsets (x, y), then the K weights.
        im2col_step, launch: change nothing here.
        softmax: makes the weights of a group add up to one.
        Others as for `dcnv3_core_pytorch`.

        Raises ValueError for arguments that do not fit.
    """
    taps = kernel_h * kernel_w - int(remove_center)
    if offset_mask.shape[-1] < 3 * group * taps:
        raise ValueError(
            f"offset_mask has {offset_mask.shape[-1]} channels, expected at least {3 * group * taps}: group={group} "
            f"times "
            f"{taps} taps times x, y and weight"
        )
    offset, mask = unpacked(offset_mask, group, taps)
    if softmax:
        mask = mask.softmax(-1)
    return dcnv3_core_pytorch(
        *(input, offset.flatten(3), mask.flatten(3), kernel_h, kernel_w, stride_h, stride_w, pad_h),
        *(pad_w, dilation_h, dilation_w, group, group_channels, offset_scale, remove_center),
    )


DCNv4Function = as_function(dcnv4)


def flash_deform_attn(
    value: Tensor,
    value_spatial_shapes: Shapes,
    value_level_start_index: Tensor,
    sampling_loc_attn: Tensor,
    im2col_step: int,
    K: int = 8,
    *launch: Any,
) -> Tensor:
    """Returns [N, Q, M · D].

    Args:
        sampling_loc_attn: [N, Q, M, 3·L·K]: the locations (x, y), then the weights before their softmax.
        K: points of one level.
        im2col_step, launch: change nothing here.
        Others as for `MSDeformAttnFunction`.
    """
    samples = sampling_loc_attn.shape[-1] // 3
    locations = sampling_loc_attn[..., : 2 * samples].unflatten(-1, (samples // K, K, 2))
    weights = sampling_loc_attn[..., 2 * samples :].softmax(-1).unflatten(-1, (samples // K, K))
    return attend(value, value_spatial_shapes, value_level_start_index, locations, weights)


FlashDeformAttnFunction = as_function(flash_deform_attn)


class FlashDeformAttn(MSDeformAttn):
    """DCNv4's deformable attention: that of Deformable DETR, with the same arguments, keys and initialisation."""
