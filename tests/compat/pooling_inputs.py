"""Inputs of the tests of the old poolings."""

from __future__ import annotations

import torch
from torch import Tensor


def image_and_rois(channels: int = 4) -> tuple[Tensor, Tensor]:
    """An image of [2, channels, 12, 10] and three RoIs, one of them larger than it."""
    torch.manual_seed(0)
    # No sample of these lies half a pixel outside the image but for rounding, where it may count or not.
    rois = torch.tensor([[0.0, 1, 2, 9, 7], [1, 3, 0, 6, 11], [1, -5, 5, 3, 30]])
    return torch.randn(2, channels, 12, 10, dtype=torch.float64), rois.double()
