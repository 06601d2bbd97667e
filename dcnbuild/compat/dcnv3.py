"""DCNv3 under the names of InternImage's `ops_dcnv3`: its functions and modules."""

from __future__ import annotations

import torch
from torch import Tensor

from dcnbuild.compat.attention import of_one_dtype
from dcnbuild.compat.shared import as_function
from dcnbuild.nn import DCNv3
from dcnbuild.ops.arguments import HALF
from dcnbuild.ops.deform_sample import deform_sample

__all__ = ["DCNv3", "DCNv3Function", "DCNv3_pytorch", "dcnv3_core_pytorch"]


class DCNv3_pytorch(DCNv3):
    """InternImage's module in plain torch, with the same parameters; here it is the same as `DCNv3`."""


def dcnv3_core_pytorch(
    input: Tensor,
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
    group: int,
    group_channels: int,
    offset_scale: float,
    remove_center: int = 0,
) -> Tensor:
    """input [N, H, W, C], offset [N, H', W', G·K·2] as (x, y) per tap, mask [N, H', W', G·K] → [N, H', W', C].

    Calls `dcnbuild.deform_sample`, where InternImage computes in plain torch if its extension is missing. Raises
    ValueError for arguments that do not fit.
    """
    if isinstance(input, Tensor) and input.shape[-1] != group * group_channels:
        raise ValueError(
            f"input has {input.shape[-1]} channels, expected {group * group_channels}: group={group} times "
            f"group_channels={group_channels}"
        )
    taps = kernel_h * kernel_w - int(remove_center)
    for name, tensor, count in (("offset", offset, 2 * taps), ("mask", mask, taps)):
        if tensor.shape[-1] != group * count:
            raise ValueError(
                f"{name} has {tensor.shape[-1]} channels, expected {group * count}: group={group} times {taps} taps"
                + (" times x and y" if name == "offset" else "")
            )
    offset, mask = of_positions(input, offset, mask)
    return deform_sample(
        input,
        offset.unflatten(-1, (group, taps, 2)),
        mask.unflatten(-1, (group, taps)),
        (kernel_h, kernel_w),
        (stride_h, stride_w),
        (pad_h, pad_w),
        (dilation_h, dilation_w),
        offset_scale,
        bool(remove_center),
    )


def of_positions(input: Tensor, offset: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Converts offset and mask to one dtype that fits the input's; under mixed precision they may have others."""
    offset, mask = of_one_dtype(offset, mask)
    dtype = offset.dtype
    if dtype != input.dtype:
        dtype = torch.float32 if input.dtype in HALF else torch.promote_types(dtype, input.dtype)
    return offset.to(dtype), mask.to(dtype)


def dcnv3(
    input: Tensor,
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
    group: int,
    group_channels: int,
    offset_scale: float,
    im2col_step: int,
    remove_center: int = 0,
) -> Tensor:
    """Returns [N, H', W', C]; `im2col_step` is ignored, and need not divide the batch."""
    return dcnv3_core_pytorch(
        *(input, offset, mask, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w),
        *(dilation_h, dilation_w, group, group_channels, offset_scale, remove_center),
    )


DCNv3Function = as_function(dcnv3)
