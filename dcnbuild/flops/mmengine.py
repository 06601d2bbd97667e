"""mmengine.analysis goes by the operators of a traced graph."""

from __future__ import annotations

from mmengine.analysis import complexity_analysis

from dcnbuild.flops import of_traced

complexity_analysis._DEFAULT_SUPPORTED_FLOP_OPS.setdefault("dcnbuild::deform_conv2d", of_traced)
