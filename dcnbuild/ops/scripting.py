"""Functions that `torch.jit.script` compiles instead of `dcnbuild.deform_conv2d` and `deform_attn`; they call raw
operators.

TorchScript has no unions of int and tuple, so these functions have their own signatures. It has no autocast for
operators outside torch. This file cannot postpone its annotations, since TorchScript reads them.
"""

from typing import TYPE_CHECKING, List, Optional  # noqa: UP035

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence as BroadcastingList2
else:
    from torch._jit_internal import BroadcastingList2  # one int, or two


def scripted(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,  # noqa: UP045
    stride: BroadcastingList2[int] = 1,  # type: ignore[assignment]
    padding: BroadcastingList2[int] = 0,  # type: ignore[assignment]
    dilation: BroadcastingList2[int] = 1,  # type: ignore[assignment]
    mask: Optional[Tensor] = None,  # noqa: UP045
) -> Tensor:
    """`dcnbuild.deform_conv2d` without its checks; the checks of csrc/deform_conv2d/operands.h remain."""
    if input.dim() != 4 or offset.dim() != 4 or weight.dim() != 4 or weight.numel() == 0:
        raise ValueError("deform_conv2d: input, offset and weight must have 4 dimensions, and the weight elements")
    groups = input.shape[1] // weight.shape[1]
    offset_groups = offset.shape[1] // (2 * weight.shape[2] * weight.shape[3])
    return torch.ops.dcnbuild.deform_conv2d(
        input, offset, mask, weight, bias, stride, padding, dilation, groups, offset_groups
    )


def scripted_attn(
    value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """`dcnbuild.deform_attn` for a tensor of sizes, without its checks; the checks of csrc/deform_attn/operands.h
    remain.
    """
    flat: List[int] = spatial_shapes.flatten().tolist()  # noqa: UP006
    return torch.ops.dcnbuild.deform_attn(value, flat, sampling_locations, attention_weights)
