"""Modules: `DeformConv2d`, which is given its offsets, `DCN`, which predicts them, `DCNv3`, `DCNv4` and
`DeformAttn`.
"""

from __future__ import annotations

from dcnbuild.nn.dcnv3 import DCNv3
from dcnbuild.nn.dcnv4 import DCNv4
from dcnbuild.nn.deform_attn import DeformAttn
from dcnbuild.nn.deform_conv2d import DCN, DeformConv2d, PredictsOffsets, split_prediction

__all__ = [
    "DCN",
    "DCNv3",
    "DCNv4",
    "DeformAttn",
    "DeformConv2d",
    "PredictsOffsets",
    "split_prediction",
]
