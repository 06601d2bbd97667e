"""Modules: `DeformConv2d` takes offsets as an argument, `DCN` predicts them; `DeformAttn` is deformable attention."""

from __future__ import annotations

from dcnbuild.nn.deform_attn import DeformAttn
from dcnbuild.nn.deform_conv2d import DCN, DeformConv2d, PredictsOffsets, split_prediction

__all__ = ["DCN", "DeformAttn", "DeformConv2d", "PredictsOffsets", "split_prediction"]
