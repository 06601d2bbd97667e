"""Multi-scale deformable attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dcnbuild.ops import onnx, registration
from dcnbuild.ops.reference import deform_attn as reference
from dcnbuild.ops.transforms import below_autograd, refuse_transforms

NAME = "deform_attn"

NOT_IN_ONNX = "Export the model up to the attention."


class DeformAttnFunction(torch.autograd.Function):
    """The derivatives of the attention."""

    @staticmethod
    def forward(
        value: Tensor,
        spatial_shapes: Sequence[int],
        sampling_locations: Tensor,
        attention_weights: Tensor,
    ) -> Tensor:
        output: Tensor = below_autograd(
            _operator, value, spatial_shapes, sampling_locations, attention_weights
        )
        return output

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        value, ctx.spatial_shapes, sampling_locations, attention_weights = inputs
        ctx.save_for_backward(value, sampling_locations, attention_weights)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Any, ...]:
        value, sampling_locations, attention_weights = ctx.saved_tensors
        needed = [ctx.needs_input_grad[0], *ctx.needs_input_grad[2:]]
        grads = DeformAttnBackwardFunction.apply(
            grad_output,
            value,
            ctx.spatial_shapes,
            sampling_locations,
            attention_weights,
            needed,
            torch.are_deterministic_algorithms_enabled(),
        )
        grad_value, *others = (grad if wanted else None for grad, wanted in zip(grads, needed))
        return (grad_value, None, *others)


class DeformAttnBackwardFunction(torch.autograd.Function):
    """The backward operator, and its derivatives through the reference."""

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, ...]:
        grads: tuple[Tensor, ...] = below_autograd(_backward_operator, *args)
        return grads

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        grad_output, value, ctx.spatial_shapes, *points, ctx.output_mask, _ = inputs
        ctx.save_for_backward(grad_output, value, *points)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Any, ...]:
        def gradients(
            grad_output: Tensor, value: Tensor, locations: Tensor, weights: Tensor
        ) -> tuple[Tensor, ...]:
            grads = reference.backward(grad_output, value, ctx.spatial_shapes, locations, weights)
            return tuple(
                grad if wanted else grad.new_empty(0)
                for grad, wanted in zip(grads, ctx.output_mask)
            )

        pull = torch.func.vjp(gradients, *ctx.saved_tensors)[1]
        grad_output, value, locations, weights = pull(cotangents)
        return grad_output, value, None, locations, weights, None, None


def _reference_backward(*args: Any) -> tuple[Tensor, ...]:
    *arguments, output_mask, _ = args
    grads = reference.backward(*arguments)
    return tuple(
        grad.contiguous() if wanted else grad.new_empty(0)
        for grad, wanted in zip(grads, output_mask)
    )


def _fake(
    value: Tensor,
    spatial_shapes: Sequence[int],
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    n, _, heads, channels = value.shape
    return value.new_empty(n, sampling_locations.shape[1], heads * channels)


def _fake_backward(
    grad_output: Tensor,
    value: Tensor,
    spatial_shapes: Sequence[int],
    sampling_locations: Tensor,
    attention_weights: Tensor,
    output_mask: Sequence[bool],
    deterministic: bool,
) -> tuple[Tensor, ...]:
    return tuple(
        tensor.new_empty(tensor.shape) if wanted else value.new_empty(0)
        for tensor, wanted in zip((value, sampling_locations, attention_weights), output_mask)
    )


registration.load_or_define()
_operator = registration.register(
    NAME,
    reference=reference.forward,
    fake=_fake,
    autograd=refuse_transforms(DeformAttnFunction.apply),
    onnx=onnx.refusal(NAME, NOT_IN_ONNX),
)
_backward_operator = registration.register(
    f"{NAME}_backward",
    reference=_reference_backward,
    fake=_fake_backward,
    autograd=refuse_transforms(DeformAttnBackwardFunction.apply),
    onnx=onnx.refusal(f"{NAME}_backward", NOT_IN_ONNX),
)
