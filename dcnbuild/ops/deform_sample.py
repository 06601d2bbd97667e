"""The sampling of DCNv3 and DCNv4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from dcnbuild.ops import onnx
from dcnbuild.ops.deform_sample_arguments import NAME, Size, attributes, check
from dcnbuild.ops.operator import Flops, Operator
from dcnbuild.ops.public import public
from dcnbuild.ops.reference import deform_sample as reference
from dcnbuild.ops.reference.deform_sample import Attributes, output_size
from dcnbuild.ops.vmap import one_batch


@public(positions=("offset", "mask"))
def deform_sample(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel_size: Size = 3,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    offset_scale: float = 1.0,
    remove_center: bool = False,
) -> Tensor:
    """The sampling of DCNv3 and DCNv4: for each group, a weighted sum of bilinear samples at each place of a sliding
    kernel.

    It computes y_g(p) = Σ_k m_gk · x_g(p + s · (p_k + Δp_gk)), equation 3 of Wang et al., "InternImage", 2023, without
    its projections w_g; s is `offset_scale`. `dcnbuild.DCNv3` predicts offset and mask, and applies a softmax to the
    mask. `dcnbuild.DCNv4` (Xiong et al., "Efficient Deformable ConvNets", 2024) uses the mask as predicted.

    A sample counts if −1 < y < H and −1 < x < W; pixels outside are zero. At −1 or at infinity, its value and gradients
    are zero. For NaN see docs/pytorch.md, "NaN and infinity".

    Args:
        input: [N, H, W, C], with channels last and in any memory layout; float64, float32, float16 or bfloat16.
        offset: [N, H', W', G, K, 2] as (x, y) in pixels; of the input's dtype, or float32 for a half input. The G
            groups must divide C. The K taps go down the kernel's columns, one column after the other.
        mask: [N, H', W', G, K] of the dtype of `offset`. It need not add up to one.
        kernel_size, stride, padding, dilation: an int or (y, x), in pixels.
        offset_scale: factor of taps and offsets; finite.
        remove_center: leaves out the tap in the middle; then K = kh · kw − 1. The kernel's sides must be odd.

    Returns:
        [N, H', W', C] of the input's dtype, summed in float32 for half types.

    Raises:
        dcnbuild.ArgumentError: an argument does not fit; the message names it, what was given and what was expected.
        dcnbuild.FindingError: there are no compiled kernels for a CUDA input and none can be built.

    Examples:
        >>> input = torch.rand(1, 16, 16, 16)  # 2 groups of 8 channels
        >>> offset = torch.zeros(1, 16, 16, 2, 9, 2)
        >>> mask = torch.full((1, 16, 16, 2, 9), 1 / 9)
        >>> dcnbuild.deform_sample(input, offset, mask, kernel_size=3, padding=1).shape
        torch.Size([1, 16, 16, 16])
    """
    a = attributes(kernel_size, stride, padding, dilation, offset_scale, remove_center)
    check(input, offset, mask, a)
    return OPERATOR(input.unflatten(-1, (offset.shape[3], -1)), offset, mask, *a)


def _fake(input: Tensor, offset: Tensor, mask: Tensor, a: Attributes) -> Tensor:
    batch, height, width, groups, channels = input.shape
    return input.new_empty(batch, *output_size(height, width, a), groups * channels)


def _fake_backward(
    grad_output: Tensor, input: Tensor, offset: Tensor, mask: Tensor, a: Attributes
) -> tuple[Tensor, ...]:
    return tuple(tensor.new_empty(tensor.shape) for tensor in (input, offset, mask))


def _flops(input: Sequence[int], offset: Any, mask: Sequence[int], *_: Any, **__: Any) -> int:
    """Returns 2 · N · H' · W' · G · K · D, each sample times its mask; input [N, H, W, G, D], mask [N, H', W', G,
    K].
    """
    return 2 * math.prod(mask) * input[4]


def _flops_backward(grad_output: Any, *args: Any, **_: Any) -> int:
    """Counts one product for the input's gradient, and one for the gradients of offset and mask together."""
    for_input, for_offset, for_mask = args[9]
    return (int(for_input) + int(for_offset or for_mask)) * _flops(*args[:3])


OPERATOR = Operator(
    name=NAME,
    attributes=Attributes,
    reference=reference,
    fake=_fake,
    fake_backward=_fake_backward,
    linear=("input", "mask"),
    vmap=one_batch,
    vmap_backward=one_batch,
    onnx=onnx.deform_sample,
    not_in_onnx="ONNX has no gradients of GridSample.",
    flops=Flops(_flops, _flops_backward),
)
