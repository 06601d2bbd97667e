"""Modules: `DeformConv2d`, which is given its offsets, `DCN`, which predicts them, `DCNv3`, `DCNv4` and `DeformAttn`."""

from __future__ import annotations

from dcnbuild.nn.deform_attn import DeformAttn
from dcnbuild.nn.deform_conv2d import DCN, DeformConv2d, PredictsOffsets, split_prediction
from dcnbuild.nn.deform_sample import DCNv3, DCNv4

__all__ = [
    "DCN",
    "DCNv3",
    "DCNv4",
    "DeformAttn",
    "DeformConv2d",
    "PredictsOffsets",
    "split_prediction",
]
