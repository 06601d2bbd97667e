"""Deformable convolution v1 and v2: `deform_conv2d`, its gradients, its fake kernels and its behaviour under autocast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from dcnbuild import reference
from dcnbuild.ops import onnx, registration, vmap
from dcnbuild.ops.arguments import Attributes, output_size, parse
from dcnbuild.ops.autocast import autocast_arguments, autocast_enabled
from dcnbuild.ops.scripting import declare, scripted
from dcnbuild.ops.transforms import (
    below_autograd,
    pull_back,
    push_forward,
    refuse_transforms,
    tracing_operators,
)


@declare
def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    mask: Tensor | None = None,
) -> Tensor:
    """Deformable convolution v2 (v1 without `mask`), with torchvision's signature and conventions.

    Every tap k of the kernel reads the input at its usual place plus a learned offset, bilinearly, times a learned mask:
    y(p) = Σ_k w_k · x(p + p_k + Δp_k) · Δm_k (Zhu et al., "Deformable ConvNets v2", 2019, equation 1; Dai et al.,
    "Deformable Convolutional Networks", 2017, without the mask). A sample counts when -1 < y < H and -1 < x < W, with
    zeros outside the image; at exactly -1 or at infinity its value and gradients are zero. NaN in an offset or mask shows
    in that output and in the gradients of offset, mask and weight (docs/pytorch.md, "What is not finite").

    Args:
        input: [N, C, H, W]; float64, float32, float16 or bfloat16, in any memory layout.
        offset: [N, 2 · offset groups · kh · kw, H', W'] in pixels, per offset group y0, x0, y1, x1, …; of the input's
            dtype, or float32 for a half input. The number of offset groups follows from the shape and must divide C.
        weight: [O, C / groups, kh, kw] of the input's dtype; the number of groups follows from the shape.
        bias: [O] of the input's dtype, or of a wider one, which then is the output's; or None.
        stride, padding, dilation: an int or (y, x), in pixels.
        mask: [N, offset groups · kh · kw, H', W'] of the dtype of `offset`, or None for v1.

    Returns:
        [N, O, H', W'] of the input's dtype; channels_last if the input is. O may be zero.

    Raises:
        dcnbuild.ArgumentError: an argument does not fit; the message names it, what was given and what was expected.
        dcnbuild.FindingError: there are no compiled kernels for a CUDA input and none can be built.
    """
    if not torch.jit.is_scripting():
        if has_torch_function_variadic(input, offset, weight, bias, mask):
            # Symbolic tracing by torch.fx, modes, and subclasses that see torch's functions.
            return handle_torch_function(
                deform_conv2d, (input, offset, weight, bias, mask), input, offset, weight, bias,
                stride=stride, padding=padding, dilation=dilation, mask=mask,
            )  # fmt: skip
        if autocast_enabled(input):
            input, offset, mask, weight, bias = autocast_arguments(
                input, offset, mask, weight, bias
            )
        attributes = parse(input, offset, weight, bias, stride, padding, dilation, mask)
        # Tracers see the operator; torch.func needs the autograd.Function itself (docs/architecture.md, "Two routes").
        call = operator if tracing_operators() else DeformConv2dFunction.apply
        if bias is None or bias.dtype == input.dtype:
            return call(input, offset, mask, weight, bias, *attributes)
        return call(input, offset, mask, weight, None, *attributes) + bias[:, None, None]
    return scripted(input, offset, weight, bias, stride, padding, dilation, mask)  # type: ignore[arg-type]


class DeformConv2dFunction(torch.autograd.Function):
    """The derivatives of `torch.ops.dcnbuild.deform_conv2d`: reverse, forward, and both of either."""

    @staticmethod
    def forward(
        input: Tensor,
        offset: Tensor,
        mask: Tensor | None,
        weight: Tensor,
        bias: Tensor | None,
        *attributes: Any,
    ) -> Tensor:
        output: Tensor = below_autograd(operator, input, offset, mask, weight, bias, *attributes)
        return output

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, offset, mask, weight, _, *attributes = inputs
        ctx.save_for_backward(input, offset, mask, weight)
        ctx.save_for_forward(input, offset, mask, weight)
        ctx.attributes = Attributes(*attributes)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Any, ...]:
        input, offset, mask, weight = ctx.saved_tensors
        grads = DeformConv2dBackwardFunction.apply(
            grad_output,
            input,
            offset,
            mask,
            weight,
            *ctx.attributes,
            list(ctx.needs_input_grad[:5]),
            torch.are_deterministic_algorithms_enabled(),
        )
        wanted = (grad if needed else None for grad, needed in zip(grads, ctx.needs_input_grad))
        return (*wanted, *(None for _ in ctx.attributes))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        # The operator is linear in input, mask, weight and bias: their tangents go through it once more each.
        input, offset, mask, weight = ctx.saved_tensors
        t_input, t_offset, t_mask, t_weight, t_bias = tangents[:5]
        a = ctx.attributes

        def through(x: Tensor, m: Tensor | None, w: Tensor) -> Tensor:
            result: Tensor = DeformConv2dFunction.apply(x, offset, m, w, None, *a)
            return result

        parts = []
        if t_input is not None:
            parts.append(through(t_input, mask, weight))
        if t_mask is not None:
            parts.append(through(input, t_mask, weight))
        if t_weight is not None:
            parts.append(through(input, mask, t_weight))
        if t_offset is not None:
            parts.append(reference.offset_tangent(input, offset, mask, weight, t_offset, a))
        if t_bias is not None:
            size = output_size(
                input.shape[2], input.shape[3], (weight.shape[2], weight.shape[3]), a
            )
            parts.append(t_bias[:, None, None].expand(input.shape[0], -1, *size))
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0].clone()

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        return vmap.forward(DeformConv2dFunction.apply, info.batch_size, in_dims, args)


class DeformConv2dBackwardFunction(torch.autograd.Function):
    """`torch.ops.dcnbuild.deform_conv2d_backward` and its derivatives, which go through `dcnbuild.reference`."""

    @staticmethod
    def forward(
        grad_output: Tensor,
        input: Tensor,
        offset: Tensor,
        mask: Tensor | None,
        weight: Tensor,
        *rest: Any,
    ) -> tuple[Tensor, ...]:
        grads: tuple[Tensor, ...] = below_autograd(
            backward_operator, grad_output, input, offset, mask, weight, *rest
        )
        return grads

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        tensors, attributes = inputs[:5], inputs[5:10]
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.attributes, ctx.output_mask = Attributes(*attributes), inputs[10]
        ctx.has_mask = tensors[3] is not None
        ctx.set_materialize_grads(False)

    @staticmethod
    def _composition(ctx: Any) -> tuple[Any, list[int], list[Tensor]]:
        """The same gradients in plain torch, as a function of those saved tensors that are there."""
        saved = ctx.saved_tensors
        present = [index for index, tensor in enumerate(saved) if tensor is not None]

        def gradients(*tensors: Tensor) -> tuple[Tensor, ...]:
            given: dict[int, Any] = dict(zip(present, tensors))
            grads = reference.backward(
                given[0], given[1], given[2], given.get(3), given[4], ctx.attributes
            )
            return tuple(
                grad if wanted and grad is not None else tensors[0].new_zeros(0)
                for grad, wanted in zip(grads, ctx.output_mask)
            )

        return gradients, present, [saved[index] for index in present]

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:
        gradients, present, tensors = DeformConv2dBackwardFunction._composition(ctx)
        grads = pull_back(gradients, tensors, cotangents)
        result: list[Any] = [None] * 12
        for index, grad in zip(present, grads):
            result[index] = grad
        return tuple(result)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, ...]:
        gradients, present, tensors = DeformConv2dBackwardFunction._composition(ctx)
        return tuple(push_forward(gradients, tensors, [tangents[index] for index in present]))

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], *args: Any
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        return vmap.backward(DeformConv2dBackwardFunction.apply, info.batch_size, in_dims, args)


def _reference_forward(
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    *attributes: Any,
) -> Tensor:
    output = reference.forward(input, offset, mask, weight, bias, Attributes(*attributes))
    return output.contiguous(memory_format=reference.memory_format_of(input))


def _reference_backward(
    grad_output: Tensor,
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    *rest: Any,
) -> tuple[Tensor, ...]:
    *attributes, output_mask, _ = rest
    tensors = (grad_output, input, offset, mask, weight)
    grads = reference.backward(*tensors, Attributes(*attributes))
    empties = _fake_backward(*tensors, *rest)
    return tuple(
        empty.copy_(grad) if wanted and grad is not None else empty
        for grad, empty, wanted in zip(grads, empties, output_mask)
    )


def _fake_forward(
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    *attributes: Any,
) -> Tensor:
    size = output_size(
        input.shape[2], input.shape[3], (weight.shape[2], weight.shape[3]), Attributes(*attributes)
    )
    return torch.empty(
        (input.shape[0], weight.shape[0], *size),
        dtype=input.dtype,
        device=input.device,
        memory_format=reference.memory_format_of(input),
    )


def _fake_backward(
    grad_output: Tensor,
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    *rest: Any,
) -> tuple[Tensor, ...]:
    output_mask = rest[5]
    shapes = (input, offset, mask, weight)
    grads = [
        torch.empty_like(tensor, memory_format=reference.memory_format_of(tensor))
        if wanted and tensor is not None
        else input.new_empty(0)
        for tensor, wanted in zip(shapes, output_mask)
    ]
    if output_mask[3]:
        grads[3] = torch.empty_like(weight, memory_format=torch.contiguous_format)
    return (*grads, input.new_empty(weight.shape[0] if output_mask[4] else 0))


registration.load_or_define()
operator = registration.register(
    "deform_conv2d",
    reference=_reference_forward,
    fake=_fake_forward,
    autograd=refuse_transforms(DeformConv2dFunction.apply),
    onnx=onnx.deform_conv2d,
)
backward_operator = registration.register(
    "deform_conv2d_backward",
    reference=_reference_backward,
    fake=_fake_backward,
    autograd=refuse_transforms(DeformConv2dBackwardFunction.apply),
    onnx=onnx.refusal("deform_conv2d_backward", "ONNX has no gradients of DeformConv."),
)
