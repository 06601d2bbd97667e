"""Registers hooks for ptflops, which looks up the classes of modules, and skips the children of known modules."""

from __future__ import annotations

from typing import Any

from ptflops import pytorch_ops
from torch import Tensor

from dcnbuild.flops import COUNTED, of_call, of_module
from dcnbuild.nn import DCN, DeformConv2d
from dcnbuild.ops.operator import Flops

try:
    from ptflops import aten_ops
except ImportError:  # ptflops before 0.7.3
    aten_ops = None


def count(module: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """A forward hook."""
    module.__flops__ += of_module(module, output)


for layer in (DeformConv2d, DCN):
    pytorch_ops.MODULES_MAPPING.setdefault(layer, count)

if aten_ops is not None:  # for backend="aten", which counts operators
    for operator, flops in COUNTED:

        def count_operator(inputs: list[Any], outputs: list[Any], flops: Flops = flops) -> int:
            shapes = [getattr(argument, "shape", None) for argument in inputs]
            return of_call(flops, shapes, outputs[0].shape)

        aten_ops.ATEN_OPS_MAPPING.setdefault(operator.call.operator, count_operator)
