"""fvcore.nn.FlopCountAnalysis goes by the operators of a traced graph."""

from __future__ import annotations

from fvcore.nn import flop_count

from dcnbuild.flops import of_traced

flop_count._DEFAULT_SUPPORTED_OPS.setdefault("dcnbuild::deform_conv2d", of_traced)
