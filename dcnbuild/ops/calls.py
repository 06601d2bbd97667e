"""Calls a registered operator as a node of a graph, as an autograd.Function, or by its kernel alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from dcnbuild.ops.torch_versions import dispatch_below_autograd, is_compiling

NAMESPACE = "dcnbuild"
#: The last arguments of every backward operator.
OPTIONS = ("output_mask", "deterministic")


def tracing_operators() -> bool:
    """Whether torch.compile, torch.export or torch.jit.trace records a graph of operators."""
    return is_compiling() or torch.jit.is_tracing()


def differentiating(args: Sequence[Any]) -> bool:
    """Whether a call may need a derivative, or torch.func transforms it."""
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return True
    return torch.is_grad_enabled() and any(isinstance(arg, Tensor) and arg.requires_grad for arg in args)


class Call:
    """Calls of one operator; each takes the arguments of its schema (docs/architecture.md, "The routes of a call").

    Attributes:
        name: the operator's name in csrc/schema.h.
        arguments: the names of all its arguments.
        tensors: the indices of the tensors.
        attributes: the indices of the other arguments, except a backward operator's OPTIONS.
        operator: the operator that torch has registered.
        function: the autograd.Function around its kernel, made by ops/derivatives.py.
    """

    function: type[torch.autograd.Function]

    def __init__(self, name: str) -> None:
        self.name = name
        self.operator: torch._ops.OpOverloadPacket = getattr(getattr(torch.ops, NAMESPACE), name)
        self._overload = self.operator.default
        arguments = self._overload._schema.arguments
        self.arguments = [argument.name for argument in arguments]
        self.tensors = [i for i, argument in enumerate(arguments) if "Tensor" in str(argument.type)]
        self.attributes = [
            i for i, argument in enumerate(self.arguments) if i not in self.tensors and argument not in OPTIONS
        ]

    def __call__(self, *args: Any) -> Any:
        """Calls the operator from Python. Tracers see the operator, torch.func sees the Function."""
        return self.operator(*args) if tracing_operators() else self.differentiable(*args)

    def differentiable(self, *args: Any) -> Any:
        """Calls the Function, or the kernel if no derivative is needed: a Function costs as much as several kernels'
        starts.
        """
        return self.function.apply(*args) if differentiating(args) else self.kernel(*args)

    def kernel(self, *args: Any) -> Any:
        """Calls the kernel."""
        with dispatch_below_autograd():
            return self._overload(*args)

    def of_dispatcher(self, *args: Any) -> Any:
        """The operator's autograd kernel. It raises under torch.func, which would silently get a zero tangent
        otherwise.
        """
        if torch._C._are_functorch_transforms_active():
            raise NotImplementedError(
                f"torch.ops.{NAMESPACE} operators do not go through torch.func transforms: call the function of "
                f"the same "
                "name in dcnbuild, such as dcnbuild.deform_conv2d, which does"
            )
        return self.differentiable(*args)

    def gather(self, args: Sequence[Any], attributes: Callable[..., Any]) -> list[Any]:
        """Returns the tensors in the schema's order (None for a missing one), and the object that `attributes`
        makes.
        """
        return [args[i] for i in self.tensors] + [attributes(*[args[i] for i in self.attributes])]
