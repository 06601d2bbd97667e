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

    Zhu et al., "Deformable DETR", 2021, equation 3 (equation 2 is the case of one level), without its projections W and
    W', for query q and head m: y_qm = Σ_l Σ_k A_mlqk · x_lm(φ_l(p_q) + Δp_mlqk). `value` is x, `sampling_locations` the
    sum in the brackets, and `attention_weights` A; `dcnbuild.DeformAttn` has the projections and makes both.

    A location (x, y) in 0..1 is the position (x · W − 0.5, y · H − 0.5) in pixels of its level, as in
    `grid_sample(align_corners=False)`. A sample counts when −1 < y < H and −1 < x < W, with zeros outside; at −1 or at
    infinity its value and gradients are zero. What becomes of NaN is said in docs/pytorch.md, "What is not finite".

    Args:
        value: [N, S, M, D], heads of the pixels of all levels, one level after the other, row by row; float64, float32,
            float16 or bfloat16, with any strides.
        spatial_shapes: L pairs of ints (height, width); S is the sum of their products. Or an integer tensor [L, 2],
            whose numbers a GPU has to be asked for: a list saves that wait.
        sampling_locations: [N, Q, M, L, P, 2] as (x, y); of the value's dtype, or float32 for a half value.
        attention_weights: [N, Q, M, L, P] of the dtype of `sampling_locations`. They need not add up to one.

    Returns:
        [N, Q, M · D] of the value's dtype, summed in float32 for half types.

    Raises:
        dcnbuild.ArgumentError: an argument does not fit; the message names it, what was given and what was expected.
        dcnbuild.FindingError: there are no compiled kernels for a CUDA value and none can be built.
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


def _flops(
    value: Sequence[int], shapes: Any, locations: Any, weights: Sequence[int], *_: Any, **__: Any
) -> int:
    """2 · N · Q · M · L · P · D, for value [N, S, M, D] and weights [N, Q, M, L, P]: each sample times its weight."""
    return 2 * math.prod(weights) * value[3]


def _flops_backward(grad_output: Any, *args: Any, **_: Any) -> int:
    """One product for the value's gradient, and one that those of locations and weights share."""
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
