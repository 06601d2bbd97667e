"""The description that both deformable poolings share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dcnbuild.ops import deform_pool_vmap
from dcnbuild.ops.operator import Operator
from dcnbuild.ops.reference import deform_pool as reference
from dcnbuild.ops.reference.deform_pool import Pooling
from dcnbuild.ops.reference.images import memory_format_of

NOT_IN_ONNX = (
    "ONNX has no RoI pooling whose bins move. Export the model up to the pooling, and pool its features outside; "
    "RoIAlign (torchvision.ops.roi_align) is what ONNX has, for a model trained with it."
)


def describe(name: str, attributes: Callable[..., Pooling]) -> Operator:
    """Describes the pooling `name`; `attributes` makes a `Pooling` of its attributes."""
    return Operator(
        name=name,
        attributes=attributes,
        reference=reference,
        fake=_fake,
        fake_backward=_fake_backward,
        constants={"rois": "RoIs"},
        linear=("input",),
        vmap=deform_pool_vmap.forward,
        vmap_backward=deform_pool_vmap.backward,
        not_in_onnx=NOT_IN_ONNX,
    )


def _fake(input: Tensor, rois: Tensor, offset: Tensor | None, p: Pooling) -> Tensor:
    return torch.empty(
        (rois.shape[0], input.shape[1] // p.group_size**2, *p.pooled),
        dtype=input.dtype,
        device=input.device,
        memory_format=memory_format_of(input),
    )


def _fake_backward(
    grad_output: Tensor, input: Tensor, rois: Tensor, offset: Tensor | None, p: Pooling
) -> tuple[Tensor | None, ...]:
    return (
        torch.empty_like(input, memory_format=memory_format_of(input)),
        None if offset is None else torch.empty_like(offset, memory_format=torch.contiguous_format),
    )
