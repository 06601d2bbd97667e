"""Registers formulas for mmengine.analysis, which counts the operators of a traced graph."""

from __future__ import annotations

from mmengine.analysis import complexity_analysis

from dcnbuild.flops import traced_operators

for name, count in traced_operators():
    complexity_analysis._DEFAULT_SUPPORTED_FLOP_OPS.setdefault(name, count)
