"""Modules: `DeformConv2d`, which is given its offsets, `DCN`, which predicts them, and `DeformAttn`."""

from __future__ import annotations

from dcnbuild.nn.deform_attn import DeformAttn
from dcnbuild.nn.deform_conv2d import DCN, DeformConv2d, PredictsOffsets, split_prediction

__all__ = ["DCN", "DeformAttn", "DeformConv2d", "PredictsOffsets", "split_prediction"]
