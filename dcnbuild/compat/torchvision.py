"""The deformable convolution of torchvision.ops. dcnbuild's has the same signature, initialisation and keys."""

from __future__ import annotations

from dcnbuild.nn import DeformConv2d
from dcnbuild.ops.deform_conv2d import deform_conv2d

__all__ = ["DeformConv2d", "deform_conv2d"]
