"""Imports every operator, which registers all of `torch.ops.dcnbuild`."""

from __future__ import annotations

from dcnbuild.ops.deform_attn import deform_attn
from dcnbuild.ops.deform_conv2d import deform_conv2d
from dcnbuild.ops.deform_psroi_pool import deform_psroi_pool
from dcnbuild.ops.deform_roi_pool import deform_roi_pool
from dcnbuild.ops.deform_sample import deform_sample

__all__ = [
    "deform_attn",
    "deform_conv2d",
    "deform_psroi_pool",
    "deform_roi_pool",
    "deform_sample",
]
