"""Adds deform_conv2d to the tables of other people's counters of operations; each module is imported with its counter.

All count multiply-accumulates, and of a deformable convolution those of the convolution of its shape, like `dcnbuild.flops.torch`.
Where a counter goes by modules, `DeformConv2d` and `DCN` are known, and a class derived from them needs a line of its own
(docs/pytorch.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from dcnbuild.flops.torch import product
from dcnbuild.nn import DeformConv2d, PredictsOffsets


def of_module(module: DeformConv2d, output: Tensor) -> int:
    """Multiply-accumulates of a module whose output is [N, O, H', W'], those of the convolution that predicts included."""
    weights = [module.weight]
    if isinstance(module, PredictsOffsets):
        weights.append(getattr(module, module.offset_name).weight)
    positions = output.shape[0] * output.shape[2] * output.shape[3]
    return sum(positions * weight.numel() for weight in weights)


def of_traced(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """The same for a node of a graph that torch.jit.trace made."""
    return product(inputs[3].type().sizes(), outputs[0].type().sizes()) // 2
