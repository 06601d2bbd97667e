"""ptflops goes by the classes of modules, and does not look at the children of those that it knows."""

from __future__ import annotations

from typing import Any

import torch
from ptflops import pytorch_ops
from torch import Tensor

from dcnbuild.flops import of_module
from dcnbuild.flops.torch import product
from dcnbuild.nn import DCN, DeformConv2d

try:
    from ptflops import aten_ops
except ImportError:  # before 0.7.3
    aten_ops = None


def count(module: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """A forward hook."""
    module.__flops__ += of_module(module, output)


for layer in (DeformConv2d, DCN):
    pytorch_ops.MODULES_MAPPING.setdefault(layer, count)


def count_operator(inputs: list[Any], outputs: list[Any]) -> int:
    """For backend="aten", which goes by operators."""
    return product(inputs[3].shape, outputs[0].shape) // 2


if aten_ops is not None:
    aten_ops.ATEN_OPS_MAPPING.setdefault(torch.ops.dcnbuild.deform_conv2d, count_operator)
