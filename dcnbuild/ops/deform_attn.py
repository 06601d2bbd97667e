"""Multi-scale deformable attention: `deform_attn`, its gradients, its fake kernels and its behaviour under autocast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from dcnbuild.ops import attn_vmap, onnx, registration
from dcnbuild.ops.attn_arguments import NAME, parse
from dcnbuild.ops.autocast import autocast, autocast_enabled
from dcnbuild.ops.reference import deform_attn as reference
from dcnbuild.ops.transforms import (
    below_autograd,
    pull_back,
    push_forward,
    refuse_transforms,
    tracing_operators,
)


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
    if has_torch_function_variadic(value, spatial_shapes, sampling_locations, attention_weights):
        # Symbolic tracing by torch.fx, modes, and subclasses that see torch's functions.
        given = (value, spatial_shapes, sampling_locations, attention_weights)
        return handle_torch_function(deform_attn, given, *given)
    if autocast_enabled(value):
        (value,), (sampling_locations, attention_weights) = autocast(
            (value,), (sampling_locations, attention_weights)
        )
    flat = parse(value, spatial_shapes, sampling_locations, attention_weights)
    # Tracers see the operator; torch.func needs the autograd.Function itself (docs/architecture.md, "Two routes").
    call = operator if tracing_operators() else DeformAttnFunction.apply
    output: Tensor = call(value, flat, sampling_locations, attention_weights)
    return output


class DeformAttnFunction(torch.autograd.Function):
    """The derivatives of `torch.ops.dcnbuild.deform_attn`: reverse, forward, and both of either."""

    @staticmethod
    def forward(
        value: Tensor,
        spatial_shapes: Sequence[int],
        sampling_locations: Tensor,
        attention_weights: Tensor,
    ) -> Tensor:
        output: Tensor = below_autograd(
            operator, value, spatial_shapes, sampling_locations, attention_weights
        )
        return output

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        value, ctx.spatial_shapes, locations, weights = inputs
        ctx.save_for_backward(value, locations, weights)
        ctx.save_for_forward(value, locations, weights)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Any, ...]:
        value, locations, weights = ctx.saved_tensors
        needed = [ctx.needs_input_grad[0], *ctx.needs_input_grad[2:]]
        grads = DeformAttnBackwardFunction.apply(
            grad_output,
            value,
            ctx.spatial_shapes,
            locations,
            weights,
            needed,
            torch.are_deterministic_algorithms_enabled(),
        )
        for_value, *others = (grad if wanted else None for grad, wanted in zip(grads, needed))
        return (for_value, None, *others)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        # The operator is linear in value and weights: their tangents go through it once more each.
        value, locations, weights = ctx.saved_tensors
        t_value, _, t_locations, t_weights = tangents
        shapes, apply = ctx.spatial_shapes, DeformAttnFunction.apply
        parts = []
        if t_value is not None:
            parts.append(apply(t_value, shapes, locations, weights))
        if t_weights is not None:
            parts.append(apply(value, shapes, locations, t_weights))
        if t_locations is not None:
            parts.append(
                push_forward(
                    lambda at: reference.forward(value, shapes, at, weights),
                    [locations],
                    [t_locations],
                )
            )
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0].clone()

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Tensor, int]:
        return attn_vmap.forward(DeformAttnFunction.apply, info.batch_size, in_dims, args)


class DeformAttnBackwardFunction(torch.autograd.Function):
    """`torch.ops.dcnbuild.deform_attn_backward` and its derivatives, which go through the reference."""

    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, ...]:
        grads: tuple[Tensor, ...] = below_autograd(backward_operator, *args)
        return grads

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        grad_output, value, ctx.spatial_shapes, locations, weights, ctx.output_mask, _ = inputs
        ctx.save_for_backward(grad_output, value, locations, weights)
        ctx.save_for_forward(grad_output, value, locations, weights)
        ctx.set_materialize_grads(False)

    @staticmethod
    def _composition(ctx: Any) -> Any:
        """The same gradients in plain torch, as a function of the saved tensors."""

        def gradients(
            grad_output: Tensor, value: Tensor, locations: Tensor, weights: Tensor
        ) -> tuple[Tensor, ...]:
            grads = reference.backward(grad_output, value, ctx.spatial_shapes, locations, weights)
            return tuple(
                grad if wanted else value.new_zeros(0)
                for grad, wanted in zip(grads, ctx.output_mask)
            )

        return gradients

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:
        gradients = DeformAttnBackwardFunction._composition(ctx)
        for_grad, for_value, *others = pull_back(gradients, ctx.saved_tensors, cotangents)
        return (for_grad, for_value, None, *others, None, None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, ...]:
        gradients = DeformAttnBackwardFunction._composition(ctx)
        given = [tangents[0], tangents[1], tangents[3], tangents[4]]
        return tuple(push_forward(gradients, ctx.saved_tensors, given))

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], *args: Any
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        return attn_vmap.backward(DeformAttnBackwardFunction.apply, info.batch_size, in_dims, args)


def _reference_backward(*args: Any) -> tuple[Tensor, ...]:
    *arguments, output_mask, _ = args
    grads = reference.backward(*arguments)
    return tuple(
        grad.contiguous() if wanted else grad.new_empty(0)
        for grad, wanted in zip(grads, output_mask)
    )


def _fake_forward(
    value: Tensor,
    spatial_shapes: Sequence[int],
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    batch, _, heads, width = value.shape
    return value.new_empty(batch, sampling_locations.shape[1], heads * width)


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
operator = registration.register(
    NAME,
    reference=reference.forward,
    fake=_fake_forward,
    autograd=refuse_transforms(DeformAttnFunction.apply),
    onnx=onnx.deform_attn,
)
backward_operator = registration.register(
    f"{NAME}_backward",
    reference=_reference_backward,
    fake=_fake_backward,
    autograd=refuse_transforms(DeformAttnBackwardFunction.apply),
    onnx=onnx.refusal(f"{NAME}_backward", "ONNX has no gradients of GridSample."),
)
