"""Registers formulas for fvcore.nn.FlopCountAnalysis, which counts the operators of a traced graph."""

from __future__ import annotations

from fvcore.nn import flop_count

from dcnbuild.flops import traced_operators

for name, count in traced_operators():
    flop_count._DEFAULT_SUPPORTED_OPS.setdefault(name, count)
