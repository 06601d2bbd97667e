"""Registers a deformable pooling: its derivatives, fake kernels and vmap rule.

A pooling operator takes (input, rois, offset, *attributes), its backward operator (grad_output, input, rois, offset,
*attributes, output_mask, deterministic); `attributes` are those of its schema, in order. RoIs are constants: their gradient
is None, and a forward-mode tangent of theirs is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dcnbuild import reference_pooling
from dcnbuild.ops import onnx, pool_vmap, registration
from dcnbuild.ops.transforms import (
    below_autograd,
    pull_back,
    push_forward,
    refuse_transforms,
    tracing_operators,
)
from dcnbuild.reference import memory_format_of
from dcnbuild.reference_pooling import Pooling

NOT_IN_ONNX = (
    "ONNX has no RoI pooling whose bins move. Export the model up to the pooling, and pool its features outside; "
    "RoIAlign (torchvision.ops.roi_align) is what ONNX has, for a model trained with it."
)


def register_pooling(name: str, pooling_of: Callable[..., Pooling]) -> Callable[..., Tensor]:
    """Registers the operators `name` and `name`_backward of csrc/schema.h.

    Args:
        pooling_of: takes the schema's attributes.

    Returns:
        What the public function calls, with the operator's arguments.
    """

    stem = "".join(word.title() for word in name.split("_"))

    @_named(f"{stem}Function")
    class Pool(torch.autograd.Function):
        """The derivatives of the pooling: reverse, forward, and both of either."""

        @staticmethod
        def forward(input: Tensor, rois: Tensor, offset: Tensor | None, *attributes: Any) -> Tensor:
            output: Tensor = below_autograd(operator, input, rois, offset, *attributes)
            return output

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            ctx.save_for_backward(*inputs[:3])
            ctx.save_for_forward(*inputs[:3])
            ctx.attributes = inputs[3:]
            # A missing tangent comes as None then, and one of the RoIs can be refused.
            ctx.set_materialize_grads(False)

        @staticmethod
        def backward(ctx: Any, grad_output: Tensor | None) -> tuple[Any, ...]:
            if grad_output is None:
                return (None,) * (3 + len(ctx.attributes))
            output_mask = [ctx.needs_input_grad[0], ctx.needs_input_grad[2]]
            deterministic = torch.are_deterministic_algorithms_enabled()
            grad_input, grad_offset = PoolBackward.apply(
                grad_output, *ctx.saved_tensors, *ctx.attributes, output_mask, deterministic
            )
            return (
                grad_input if output_mask[0] else None,
                None,
                grad_offset if output_mask[1] else None,
                *(None for _ in ctx.attributes),
            )

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Tensor:
            input, rois, offset = ctx.saved_tensors
            t_input, t_rois, t_offset = tangents[:3]
            _refuse_tangent(name, t_rois)
            parts = []
            if t_input is not None:
                # The operator is linear in its input.
                parts.append(Pool.apply(t_input, rois, offset, *ctx.attributes))
            if t_offset is not None:
                p = pooling_of(*ctx.attributes)
                parts.append(
                    push_forward(
                        lambda o: reference_pooling.forward(input, rois, o, p), [offset], [t_offset]
                    )
                )
            return parts[0] + parts[1] if len(parts) > 1 else parts[0].clone()

        @staticmethod
        def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Tensor, int]:
            return pool_vmap.forward(Pool.apply, info.batch_size, in_dims, args)

    @_named(f"{stem}BackwardFunction")
    class PoolBackward(torch.autograd.Function):
        """The backward operator, and its derivatives through `dcnbuild.reference_pooling`."""

        @staticmethod
        def forward(
            grad_output: Tensor, input: Tensor, rois: Tensor, offset: Tensor | None, *rest: Any
        ) -> tuple[Tensor, ...]:
            grads: tuple[Tensor, ...] = below_autograd(
                backward_operator, grad_output, input, rois, offset, *rest
            )
            return grads

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
            ctx.save_for_backward(*inputs[:4])
            ctx.save_for_forward(*inputs[:4])
            *ctx.attributes, ctx.output_mask, _ = inputs[4:]
            ctx.set_materialize_grads(False)

        @staticmethod
        def _composition(ctx: Any) -> tuple[Any, list[Tensor]]:
            """The same gradients in plain torch, as a function of grad_output, input and the offset if there is one."""
            grad_output, input, rois, offset = ctx.saved_tensors
            p = pooling_of(*ctx.attributes)

            def gradients(g: Tensor, i: Tensor, o: Tensor | None = None) -> tuple[Tensor, ...]:
                grads = reference_pooling.backward(g, i, rois, o, p)
                return tuple(
                    grad if wanted and grad is not None else i.new_zeros(0)
                    for grad, wanted in zip(grads, ctx.output_mask)
                )

            return gradients, [t for t in (grad_output, input, offset) if t is not None]

        @staticmethod
        def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:
            gradients, tensors = PoolBackward._composition(ctx)
            grads = pull_back(gradients, tensors, cotangents)
            nothing = (None for _ in range(len(ctx.attributes) + 2))
            return (grads[0], grads[1], None, grads[2] if len(grads) > 2 else None, *nothing)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, ...]:
            _refuse_tangent(name, tangents[2])
            gradients, tensors = PoolBackward._composition(ctx)
            given = [tangents[0], tangents[1], tangents[3]]
            return tuple(push_forward(gradients, tensors, given[: len(tensors)]))

        @staticmethod
        def vmap(
            info: Any, in_dims: tuple[Any, ...], *args: Any
        ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
            return pool_vmap.backward(PoolBackward.apply, info.batch_size, in_dims, args)

    def reference_forward(
        input: Tensor, rois: Tensor, offset: Tensor | None, *attributes: Any
    ) -> Tensor:
        output = reference_pooling.forward(input, rois, offset, pooling_of(*attributes))
        return output.contiguous(memory_format=memory_format_of(input))

    def reference_backward(
        grad_output: Tensor, input: Tensor, rois: Tensor, offset: Tensor | None, *rest: Any
    ) -> tuple[Tensor, ...]:
        *attributes, output_mask, _ = rest
        grads = reference_pooling.backward(
            grad_output, input, rois, offset, pooling_of(*attributes)
        )
        empties = fake_backward(grad_output, input, rois, offset, *rest)
        return tuple(
            empty.copy_(grad) if wanted and grad is not None else empty
            for grad, empty, wanted in zip(grads, empties, output_mask)
        )

    def fake_forward(
        input: Tensor, rois: Tensor, offset: Tensor | None, *attributes: Any
    ) -> Tensor:
        p = pooling_of(*attributes)
        return torch.empty(
            (rois.shape[0], input.shape[1] // p.group_size**2, *p.pooled),
            dtype=input.dtype,
            device=input.device,
            memory_format=memory_format_of(input),
        )

    def fake_backward(
        grad_output: Tensor, input: Tensor, rois: Tensor, offset: Tensor | None, *rest: Any
    ) -> tuple[Tensor, ...]:
        for_input, for_offset = rest[-2]
        return (
            torch.empty_like(input, memory_format=memory_format_of(input))
            if for_input
            else input.new_empty(0),
            torch.empty_like(offset, memory_format=torch.contiguous_format)
            if for_offset and offset is not None
            else input.new_empty(0),
        )

    registration.load_or_define()
    operator = registration.register(
        name,
        reference=reference_forward,
        fake=fake_forward,
        autograd=refuse_transforms(Pool.apply),
        onnx=onnx.refusal(name, NOT_IN_ONNX),
    )
    backward_operator = registration.register(
        f"{name}_backward",
        reference=reference_backward,
        fake=fake_backward,
        autograd=refuse_transforms(PoolBackward.apply),
        onnx=onnx.refusal(f"{name}_backward", NOT_IN_ONNX),
    )

    def call(*args: Any) -> Tensor:
        # Tracers see the operator; torch.func needs the Function itself (docs/architecture.md, "Two routes").
        output: Tensor = (operator if tracing_operators() else Pool.apply)(*args)
        return output

    return call


def _named(name: str) -> Callable[[type], Any]:
    """Gives an autograd Function the name that profilers, tracebacks and grad_fn show."""

    def rename(function: Any) -> Any:
        node = function._backward_cls
        function.__name__ = function.__qualname__ = name
        node.__name__ = node.__qualname__ = f"{name}Backward"
        return function

    return rename


def _refuse_tangent(name: str, tangent: Tensor | None) -> None:
    if tangent is not None:
        raise NotImplementedError(
            f"{name}: RoIs are constants, and have no forward-mode derivative"
        )
