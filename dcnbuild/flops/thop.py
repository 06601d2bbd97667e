"""Registers hooks for thop.profile, which looks up the classes of modules, and counts their children separately."""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor

from dcnbuild.flops import of_module
from dcnbuild.nn import DCN, DeformConv2d


def count(module: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """A forward hook."""
    module.total_ops += of_module(module, output)


# `thop.profile` is a function too.
for layer in (DeformConv2d, DCN):
    sys.modules["thop.profile"].register_hooks.setdefault(layer, count)
