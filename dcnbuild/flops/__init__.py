"""Adds the operators to the tables of FLOP counters; each module here is imported together with its counter.

All counters except torch's count multiply-accumulates. A deformable convolution counts like the convolution of its
shape. Counters that look modules up know `DeformConv2d` and `DCN`; a subclass needs an entry of its own
(docs/pytorch.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

import dcnbuild.ops.operators  # noqa: F401  describes them
from dcnbuild.nn import DeformConv2d, PredictsOffsets
from dcnbuild.ops.operator import OPERATORS, Flops

#: The operators with formulas, and their formulas.
COUNTED = [(operator, operator.flops) for operator in OPERATORS.values() if operator.flops]


def of_module(module: DeformConv2d, output: Tensor) -> int:
    """Returns a module's multiply-accumulates for an output [N, O, H', W'], including the predicting convolution's."""
    weights = [module.weight]
    if isinstance(module, PredictsOffsets):
        weights.append(getattr(module, module.offset_name).weight)
    positions = output.shape[0] * output.shape[2] * output.shape[3]
    return sum(positions * weight.numel() for weight in weights)


def of_call(flops: Flops, inputs: Sequence[Any], output: Sequence[int]) -> int:
    """Returns a call's multiply-accumulates, from the shapes of its tensors (anything for other inputs) and of its
    output.
    """
    return flops.forward(*inputs, out_shape=output) // 2


def traced_operators() -> Iterator[tuple[str, Callable[[Sequence[Any], Sequence[Any]], int]]]:
    """Yields each operator's name in a graph of torch.jit.trace, and a function that counts a node by inputs and
    outputs.
    """
    for operator, flops in COUNTED:

        def count(inputs: Sequence[Any], outputs: Sequence[Any], flops: Flops = flops) -> int:
            shapes = [value.type().sizes() if value.isCompleteTensor() else None for value in inputs]
            return of_call(flops, shapes, outputs[0].type().sizes())

        yield f"dcnbuild::{operator.name}", count
