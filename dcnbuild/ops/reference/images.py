"""The memory format and the largest size of images."""

from __future__ import annotations

import torch
from torch import Tensor

#: Sides of images, and all other counts along one axis, are below this; kSideLimit of csrc/common/sampling.h.
SIDE_LIMIT = 2**30


def memory_format_of(tensor: Tensor) -> torch.memory_format:
    """Returns channels_last if [N, C, H, W] `tensor` has this layout and is not also contiguous; else contiguous."""
    n, c, h, w = tensor.shape
    if c == 1 or (h == 1 and w == 1):
        return torch.contiguous_format
    dense = tensor.stride(1) == 1 and tensor.stride(3) == c and tensor.stride(2) == w * c
    if dense and (n <= 1 or tensor.stride(0) == h * w * c):
        return torch.channels_last
    return torch.contiguous_format
