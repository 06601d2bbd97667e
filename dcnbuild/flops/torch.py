"""Registers formulas for `torch.utils.flop_counter.FlopCounterMode`; imported with that module (dcnbuild/__init__.py).

The counter counts products, with two operations for a multiplication and an addition, and ignores the preparation of
their operands. So a deformable convolution counts like the convolution of its shape; the sampling does not count, as in
grid_sample.
"""

from __future__ import annotations

from torch.utils import flop_counter

from dcnbuild.flops import COUNTED

if hasattr(flop_counter, "register_flop_formula"):  # torch 2.1 counts, but takes no formulas
    registry = flop_counter.flop_registry
    for operator, formulas in COUNTED:
        for call, formula in ((operator.call, formulas.forward), (operator.backward_call, formulas.backward)):
            flop_counter.register_flop_formula(call.operator)(formula)
            if call.operator not in registry:  # up to torch 2.4, it is put under the overload, where no counter looks
                registry[call.operator] = registry[call.operator.default]
