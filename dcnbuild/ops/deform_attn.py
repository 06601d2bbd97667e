"""Multi-scale deformable attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from dcnbuild.ops import deform_attn_vmap, onnx
from dcnbuild.ops.deform_attn_arguments import NAME, parse
from dcnbuild.ops.operator import Flops, Operator
from dcnbuild.ops.public import public
from dcnbuild.ops.reference import deform_attn as reference
from dcnbuild.ops.scripting import scripted_attn


@public(positions=("sampling_locations", "attention_weights"))
def deform_attn(
    value: Tensor,
    spatial_shapes: Tensor | Sequence[Sequence[int]],
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    """Multi-scale deformable attention: a weighted sum of bilinear samples of several feature maps.

    For query q and head m it computes y_qm = Σ_l Σ_k A_mlqk · x_lm(φ_l(p_q) + Δp_mlqk). This is equation 3 of Zhu et
    al., "Deformable DETR", 2021 (equation 2 has one level), without the projections W and W'. `value` is x,
    `sampling_locations` is the sum in the brackets, and `attention_weights` is A. `dcnbuild.DeformAttn` has the
    projections and computes locations and weights.

    A location (x, y) in 0..1 is the position (x · W − 0.5, y · H − 0.5) in pixels of its level, as in
    `grid_sample(align_corners=False)`. A sample counts if −1 < y < H and −1 < x < W; pixels outside are zero. At −1 or
    at infinity, its value and gradients are zero. For NaN see docs/pytorch.md, "NaN and infinity".

    Args:
        value: [N, S, M, D]: for each pixel of all levels, M heads of D channels. Levels stand one after the other, row
            by row. float64, float32, float16 or bfloat16, with any strides.
        spatial_shapes: L pairs of ints (height, width), or an integer tensor [L, 2]; S is the sum of height · width.
            Reading a tensor on a GPU waits for the GPU; a list does not.
        sampling_locations: [N, Q, M, L, P, 2] as (x, y); of the value's dtype, or float32 for a half value.
        attention_weights: [N, Q, M, L, P] of the dtype of `sampling_locations`. They need not add up to one.

    Returns:
        [N, Q, M · D] of the value's dtype, summed in float32 for half types.

    Raises:
        dcnbuild.ArgumentError: an argument does not fit; the message names it, what was given and what was expected.
        dcnbuild.FindingError: there are no compiled kernels for a CUDA value and none can be built.

    Examples:
        >>> shapes = [(16, 16), (8, 8)]
        >>> value = torch.rand(1, 16 * 16 + 8 * 8, 4, 8)  # 4 heads of 8 channels
        >>> locations = torch.rand(1, 10, 4, 2, 3, 2)  # 10 queries, 2 levels, 3 points, (x, y)
        >>> weights = torch.full((1, 10, 4, 2, 3), 1 / 6)
        >>> dcnbuild.deform_attn(value, shapes, locations, weights).shape
        torch.Size([1, 10, 32])
    """
    flat = parse(value, spatial_shapes, sampling_locations, attention_weights)
    return OPERATOR(value, flat, sampling_locations, attention_weights)


deform_attn.__prepare_scriptable__ = lambda: scripted_attn  # type: ignore[attr-defined]


def _fake(
    value: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    spatial_shapes: Sequence[int],
) -> Tensor:
    batch, _, heads, width = value.shape
    return value.new_empty(batch, sampling_locations.shape[1], heads * width)


def _fake_backward(
    grad_output: Tensor,
    value: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    spatial_shapes: Sequence[int],
) -> tuple[Tensor, ...]:
    tensors = (value, sampling_locations, attention_weights)
    return tuple(tensor.new_empty(tensor.shape) for tensor in tensors)


def _flops(value: Sequence[int], shapes: Any, locations: Any, weights: Sequence[int], *_: Any, **__: Any) -> int:
    """Returns 2 · N · Q · M · L · P · D, each sample times its weight; value [N, S, M, D], weights [N, Q, M, L, P]."""
    return 2 * math.prod(weights) * value[3]


def _flops_backward(grad_output: Any, *args: Any, **_: Any) -> int:
    """Counts one product for the value's gradient, and one for the gradients of locations and weights together."""
    for_value, for_locations, for_weights = args[4]
    return (int(for_value) + int(for_locations or for_weights)) * _flops(*args[:4])


OPERATOR = Operator(
    name=NAME,
    attributes=list,
    reference=reference,
    fake=_fake,
    fake_backward=_fake_backward,
    linear=("value", "attention_weights"),
    vmap=deform_attn_vmap.forward,
    vmap_backward=deform_attn_vmap.backward,
    onnx=onnx.deform_attn,
    not_in_onnx="ONNX has no gradients of GridSample.",
    flops=Flops(_flops, _flops_backward),
)
