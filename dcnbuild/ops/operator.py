"""Makes an operator from a description; everything around its kernels follows from it.

`ops/deform_roi_pool.py` is a short example. An `Operator` gives the registered operators `name` and `name`_backward,
their derivatives in reverse and forward mode, batching, tracing, ONNX and FLOPs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from dcnbuild.ops import registration
from dcnbuild.ops.calls import Call
from dcnbuild.ops.derivatives import give_functions
from dcnbuild.ops.onnx import refusal
from dcnbuild.ops.vmap import Rule, one_by_one


class Reference(Protocol):
    """An operator in plain torch, differentiable any number of times; a module of ops/reference is one."""

    @property
    def forward(self) -> Callable[..., Tensor]: ...

    @property
    def backward(self) -> Callable[..., tuple[Tensor | None, ...]]:
        """Gives the gradient of every differentiable tensor, None for one that is missing."""


class Flops(NamedTuple):
    """Formulas for `torch.utils.flop_counter`: they take shapes instead of tensors, and `out_shape` by name."""

    forward: Callable[..., int]
    backward: Callable[..., int]


#: Every operator by its name.
OPERATORS: dict[str, Operator] = {}


@dataclass(eq=False)
class Operator:
    """A differentiable operator. Creating one registers it; a call takes the schema's arguments, already checked.

    Two schemas in csrc/schema.h belong to it. `name` takes tensors and attributes (all other arguments) in any order.
    `name`_backward takes grad_output, arguments of `name` under the same names, bool[k] output_mask and bool
    deterministic. It returns the gradients of the k tensors that are not constants, in the schema's order. A tensor
    that it does not take must be optional and added to the output, like a bias.

    The functions of a description take the operator's tensors in the schema's order, then its attributes as one object.
    Functions for the backward operator take grad_output and its tensors, then the same object.

    Attributes:
        name: the operator's name in csrc/schema.h.
        attributes: makes that one object from the attributes, in the schema's order.
        reference: the operator in plain torch.
        fake: returns an empty output, for tracing.
        fake_backward: returns an empty gradient for each differentiable tensor, None for a missing one.
        constants: tensors without a derivative, with their names in errors, as in {"rois": "RoIs"}.
        linear: tensors in which the operator is linear. Another call of the operator gives the output's tangent.
        tangents: for other tensors, a function that takes the tensor's tangent before the other arguments, and returns
            the output's tangent. For a tensor in neither, the reference is differentiated, which is slow.
        vmap, vmap_backward: batching rules (vmap.py).
        onnx: writes the operator as nodes of ONNX.
        not_in_onnx: says why ONNX has no such operator, or, if `onnx` is given, no such gradient.
        flops: the operators' formulas for FLOP counters, if any.
    """

    name: str
    attributes: Callable[..., Any]
    reference: Reference
    fake: Callable[..., Tensor]
    fake_backward: Callable[..., tuple[Tensor | None, ...]]
    constants: Mapping[str, str] = field(default_factory=dict)
    linear: Collection[str] = ()
    tangents: Mapping[str, Callable[..., Tensor]] = field(default_factory=dict)
    vmap: Rule = one_by_one
    vmap_backward: Rule = one_by_one
    onnx: Callable[..., Tensor] | None = None
    not_in_onnx: str = "ONNX has no such operator."
    flops: Flops | None = None

    call: Call = field(init=False)
    backward_call: Call = field(init=False)

    def __post_init__(self) -> None:
        registration.load_or_define()
        self.call, self.backward_call = Call(self.name), Call(f"{self.name}_backward")
        give_functions(self)
        registration.register(
            self.call,
            reference=self.reference_kernel,
            fake=self.fake_kernel,
            onnx=self.onnx_kernel if self.onnx else refusal(self.name, self.not_in_onnx),
        )
        registration.register(
            self.backward_call,
            reference=self.backward_reference_kernel,
            fake=self.backward_fake_kernel,
            onnx=refusal(self.backward_call.name, self.not_in_onnx),
        )
        OPERATORS[self.name] = self

    def __call__(self, *args: Any) -> Tensor:
        output: Tensor = self.call(*args)
        return output

    def reference_forward(self, *args: Any) -> Tensor:
        """Computes the output in plain torch, from the operator's arguments."""
        return self.reference.forward(*self.call.gather(args, self.attributes))

    def reference_gradients(self, *args: Any) -> tuple[Tensor | None, ...]:
        """Computes all gradients in plain torch, for any output_mask, from the backward operator's arguments."""
        return self.reference.backward(*self.backward_call.gather(args, self.attributes))

    def reference_kernel(self, *args: Any) -> Tensor:
        """Computes the operator in plain torch; the output has the memory layout of the kernels' output."""
        return self.fake_kernel(*args).copy_(self.reference_forward(*args))

    def fake_kernel(self, *args: Any) -> Tensor:
        """Returns an empty output."""
        return self.fake(*self.call.gather(args, self.attributes))

    def onnx_kernel(self, *args: Any) -> Tensor:
        """Writes the operator as nodes of ONNX, from the operator's arguments."""
        assert self.onnx is not None
        return self.onnx(*self.call.gather(args, self.attributes))

    def backward_reference_kernel(self, *args: Any) -> tuple[Tensor, ...]:
        """Computes the backward operator in plain torch."""
        *_, output_mask, _ = args
        grads = self.reference_gradients(*args)
        return tuple(
            empty.copy_(grad) if wanted and grad is not None else empty
            for grad, empty, wanted in zip(grads, self.backward_fake_kernel(*args), output_mask)
        )

    def backward_fake_kernel(self, *args: Any) -> tuple[Tensor, ...]:
        """Returns empty gradients; those that output_mask leaves out have no elements."""
        grad_output, *_, output_mask, _ = args
        empties = self.fake_backward(*self.backward_call.gather(args, self.attributes))
        return tuple(
            empty if wanted and empty is not None else grad_output.new_empty(0)
            for empty, wanted in zip(empties, output_mask)
        )
