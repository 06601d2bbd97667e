"""Registers formulas for `torch.utils.flop_counter.FlopCounterMode`; imported with that module (dcnbuild/__init__.py).

The counter counts products, with two operations for a multiplication and an addition, and ignores the preparation of
their operands. So a deformable convolution counts like the convolution of its shape; the sampling does not count, as in
grid_sample.
"""

from __future__ import annotations

from torch.utils import flop_counter

from dcnbuild.flops import COUNTED

if hasattr(flop_counter, "register_flop_formula"):  # torch 2.1 counts, but takes no formulas
    for operator, formulas in COUNTED:
        flop_counter.register_flop_formula(operator.call.operator)(formulas.forward)
        flop_counter.register_flop_formula(operator.backward_call.operator)(formulas.backward)
