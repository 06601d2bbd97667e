"""Tells `torch.utils.flop_counter.FlopCounterMode` what operators count; imported with that module (dcnbuild/__init__.py).

The counter counts products, two operations for a multiplication and an addition, and not what prepares their operands. So a
deformable convolution counts as the convolution of its shape does, and the sampling is left out, as that of grid_sample is.
"""

from __future__ import annotations

from torch.utils import flop_counter

from dcnbuild.flops import COUNTED

if hasattr(flop_counter, "register_flop_formula"):  # torch 2.1 counts, but takes no formulas
    for operator, formulas in COUNTED:
        flop_counter.register_flop_formula(operator.call.operator)(formulas.forward)
        flop_counter.register_flop_formula(operator.backward_call.operator)(formulas.backward)
