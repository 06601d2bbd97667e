"""Adds the operators to the tables of other people's counters of operations; each module is imported with its counter.

All but torch's count multiply-accumulates, and of a deformable convolution those of the convolution of its shape. Where a
counter goes by modules, `DeformConv2d` and `DCN` are known, and a class derived from them needs a line of its own
(docs/pytorch.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

import dcnbuild.ops.operators  # noqa: F401  describes them
from dcnbuild.nn import DeformConv2d, PredictsOffsets
from dcnbuild.ops.operator import OPERATORS, Flops

#: The operators that count something, and what.
COUNTED = [(operator, operator.flops) for operator in OPERATORS.values() if operator.flops]


def of_module(module: DeformConv2d, output: Tensor) -> int:
    """Multiply-accumulates of a module whose output is [N, O, H', W'], those of the convolution that predicts included."""
    weights = [module.weight]
    if isinstance(module, PredictsOffsets):
        weights.append(getattr(module, module.offset_name).weight)
    positions = output.shape[0] * output.shape[2] * output.shape[3]
    return sum(positions * weight.numel() for weight in weights)


def of_call(flops: Flops, inputs: Sequence[Any], output: Sequence[int]) -> int:
    """Multiply-accumulates of an operator's call, from its inputs' shapes (anything for what is no tensor) and its output's."""
    return flops.forward(*inputs, out_shape=output) // 2


def traced_operators() -> Iterator[tuple[str, Callable[[Sequence[Any], Sequence[Any]], int]]]:
    """For each operator, its name in a graph that torch.jit.trace made, and what counts a node from its inputs and outputs."""
    for operator, flops in COUNTED:

        def count(inputs: Sequence[Any], outputs: Sequence[Any], flops: Flops = flops) -> int:
            shapes = [
                value.type().sizes() if value.isCompleteTensor() else None for value in inputs
            ]
            return of_call(flops, shapes, outputs[0].type().sizes())

        yield f"dcnbuild::{operator.name}", count
