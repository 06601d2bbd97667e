"""Imports every operator, which registers all of `torch.ops.dcnbuild`."""

from __future__ import annotations

import sys

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

# The package imports its names on first use. In compiled code, Dynamo of torch 2.1 finds a name only in the dictionary
# of the package.
vars(sys.modules["dcnbuild"]).update({name: globals()[name] for name in __all__})
