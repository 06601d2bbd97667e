"""Multi-scale deformable attention."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dcnbuild.ops.operator import Operator
from dcnbuild.ops.reference import deform_attn as reference


def _fake(
    value: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    spatial_shapes: Sequence[int],
) -> Tensor:
    batch, _, heads, channels = value.shape
    return value.new_empty(batch, sampling_locations.shape[1], heads * channels)


def _fake_backward(
    grad_output: Tensor,
    value: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    spatial_shapes: Sequence[int],
) -> tuple[Tensor, ...]:
    tensors = (value, sampling_locations, attention_weights)
    return tuple(tensor.new_empty(tensor.shape) for tensor in tensors)


OPERATOR = Operator(
    name="deform_attn",
    attributes=list,
    reference=reference,
    fake=_fake,
    fake_backward=_fake_backward,
    linear=("value", "attention_weights"),
)
