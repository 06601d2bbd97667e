"""Makes an operator's autograd Functions: reverse and forward mode, batching, and the second order by the reference."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dcnbuild.ops.calls import OPTIONS, Call
from dcnbuild.ops.reference.derivatives import pull_back, push_forward
from dcnbuild.ops.vmap import Rule

if TYPE_CHECKING:
    from dcnbuild.ops.operator import Operator

#: torch binds a Function's arguments to the signature of `forward` in every call. This saves it from computing the
#: signature each time.
_ANY_ARGUMENTS = inspect.Signature([inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)])


def give_functions(operator: Operator) -> None:
    """Gives both calls of an operator an autograd.Function with its name: DeformRoiPoolFunction."""
    stem = "".join(word.capitalize() for word in operator.name.split("_"))
    operator.call.function = _function(f"{stem}Function", _First(operator))
    operator.backward_call.function = _function(f"{stem}BackwardFunction", _Second(operator))


def _function(name: str, rules: _Rules) -> type[torch.autograd.Function]:
    def forward(*args: Any) -> Any:
        return rules.call.kernel(*args)

    forward.__signature__ = _ANY_ARGUMENTS  # type: ignore[attr-defined]
    methods = {rule: getattr(rules, rule) for rule in ("setup_context", "backward", "jvp", "vmap")}
    methods["forward"] = forward
    return type(name, (torch.autograd.Function,), {n: staticmethod(method) for n, method in methods.items()})


def no_slice(arg: Any, dim: int | None) -> Any:
    """Returns an uninitialised tensor of the shape of one slice, for an argument that has no slices."""
    if dim is None or not isinstance(arg, Tensor):
        return arg
    return arg.new_empty([size for at, size in enumerate(arg.shape) if at != dim % arg.dim()])


class _Rules:
    """Base of both Functions: keeps their arguments, and refuses tangents of constants."""

    def __init__(self, operator: Operator, call: Call) -> None:
        self.operator = operator
        self.call = call
        self.differentiable = [i for i in call.tensors if call.arguments[i] not in operator.constants]
        #: The tensors that derivatives read.
        self.kept = call.tensors

    def setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        tensors = [inputs[i] for i in self.kept]
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.others = [None if i in self.call.tensors else arg for i, arg in enumerate(inputs)]
        # A missing cotangent or tangent is then None: no zeros are computed, and those of constants can be refused.
        ctx.set_materialize_grads(False)

    def arguments(self, ctx: Any) -> list[Any]:
        """Returns the operator's arguments; None for tensors that were not kept."""
        args = list(ctx.others)
        for index, tensor in zip(self.kept, ctx.saved_tensors):
            args[index] = tensor
        return args

    def batched(self, rule: Rule, fake: Any, size: int, in_dims: Sequence[Any], args: Sequence[Any]) -> tuple[Any, Any]:
        """Computes `size` slices by a batching rule; for no slices at all, takes the shape from `fake` instead."""
        if size:
            return rule(self.call.function.apply, size, in_dims, args)
        one = fake(*(no_slice(arg, dim) for arg, dim in zip(args, in_dims)))
        if isinstance(one, Tensor):
            return one.new_empty(0, *one.shape), 0
        return tuple(part.new_empty(0, *part.shape) for part in one), (0,) * len(one)

    def refuse_constants(self, tangents: tuple[Any, ...]) -> None:
        for name, what in self.operator.constants.items():
            if tangents[self.call.arguments.index(name)] is not None:
                raise NotImplementedError(
                    f"{self.operator.name}: {what} are constants, and have no forward-mode derivative"
                )


class _First(_Rules):
    """The derivatives of the operator."""

    def __init__(self, operator: Operator) -> None:
        super().__init__(operator, operator.call)
        #: The arguments of the backward operator between grad_output and its options.
        self.passed = [self.call.arguments.index(name) for name in operator.backward_call.arguments[1 : -len(OPTIONS)]]
        self.kept = [i for i in self.call.tensors if i in self.passed]

    def backward(self, ctx: Any, grad_output: Tensor | None) -> tuple[Any, ...]:
        result: list[Tensor | None] = [None] * len(self.call.arguments)
        if grad_output is not None:
            args = self.arguments(ctx)
            output_mask = [ctx.needs_input_grad[i] for i in self.differentiable]
            grads = self.operator.backward_call.differentiable(
                grad_output,
                *[args[i] for i in self.passed],
                output_mask,
                torch.are_deterministic_algorithms_enabled(),
            )
            for index, wanted, grad in zip(self.differentiable, output_mask, grads):
                if wanted:
                    result[index] = grad
        return tuple(result)

    def jvp(self, ctx: Any, *tangents: Tensor | None) -> Tensor:
        self.refuse_constants(tangents)
        args = self.arguments(ctx)
        moved = [i for i in self.differentiable if tangents[i] is not None]
        parts = [self._moved_by(i, tangents[i], args) for i in moved]
        return functools.reduce(torch.add, parts) if len(parts) > 1 else parts[0].clone()

    def _moved_by(self, index: int, tangent: Any, args: list[Any]) -> Tensor:
        """Returns the output's tangent for one tensor's tangent."""
        name = self.call.arguments[index]
        output: Tensor
        if name in self.operator.linear:
            output = self.call.differentiable(*args[:index], tangent, *args[index + 1 :])
        elif name in self.operator.tangents:
            gathered = self.call.gather(args, self.operator.attributes)
            output = self.operator.tangents[name](tangent, *gathered)
        else:

            def of_one(tensor: Tensor) -> Tensor:
                return self.operator.reference_forward(*args[:index], tensor, *args[index + 1 :])

            output = push_forward(of_one, [args[index]], [tangent])
        return output

    def vmap(self, info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        rule, fake = self.operator.vmap, self.operator.fake_kernel
        return self.batched(rule, fake, info.batch_size, in_dims, args)


class _Second(_Rules):
    """The derivatives of the backward operator, computed by the reference."""

    def __init__(self, operator: Operator) -> None:
        super().__init__(operator, operator.backward_call)

    def backward(self, ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:
        args = self.arguments(ctx)
        grads = pull_back(self._composition(args), self._differentiable(args), cotangents)
        result: list[Tensor | None] = [None] * len(args)
        for index, grad in zip(self.differentiable, grads):
            result[index] = grad
        return tuple(result)

    def jvp(self, ctx: Any, *tangents: Tensor | None) -> tuple[Tensor, ...]:
        self.refuse_constants(tangents)
        args = self.arguments(ctx)
        return tuple(push_forward(self._composition(args), self._differentiable(args), self._differentiable(tangents)))

    def _differentiable(self, args: Any) -> list[Any]:
        return [args[i] for i in self.differentiable]

    def _composition(self, args: list[Any]) -> Any:
        """Returns the gradients in plain torch, as a function of the differentiable tensors; unneeded ones have no
        elements.
        """
        *_, output_mask, _ = args

        def gradients(*tensors: Tensor | None) -> tuple[Tensor, ...]:
            given = list(args)
            for index, tensor in zip(self.differentiable, tensors):
                given[index] = tensor
            grad_output, *_ = given
            grads = self.operator.reference_gradients(*given)
            return tuple(
                grad if wanted and grad is not None else grad_output.new_zeros(0)
                for grad, wanted in zip(grads, output_mask)
            )

        return gradients

    def vmap(self, info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        rule, fake = self.operator.vmap_backward, self.operator.backward_fake_kernel
        return self.batched(rule, fake, info.batch_size, in_dims, args)
