"""User code that mypy and pyright must accept, in their strict modes. Checked, never run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import assert_type

import dcnbuild
from dcnbuild import DCN, DeformConv2d, deform_conv2d

x = torch.rand(1, 3, 8, 8)
offset = torch.zeros(1, 18, 8, 8)
mask = torch.ones(1, 9, 8, 8)
weight = torch.rand(4, 3, 3, 3)
rois = torch.tensor([[0, 0.0, 0.0, 4.0, 4.0]])

assert_type(deform_conv2d(x, offset, weight, padding=1), Tensor)
assert_type(deform_conv2d(x, offset, weight, None, (1, 1), [1, 1], 1, mask), Tensor)
assert_type(dcnbuild.reference.deform_conv2d(x, offset, weight, padding=1, mask=mask), Tensor)
assert_type(dcnbuild.deform_roi_pool(x, rois, output_size=(2, 2)), Tensor)
assert_type(dcnbuild.deform_psroi_pool(x, rois, spatial_scale=1, pooled_size=2), Tensor)
assert_type(dcnbuild.__version__, str)


class Block(nn.Module):
    def __init__(self, channels: int, **options: Any) -> None:
        super().__init__()
        self.align = DCN(channels, channels, 3, padding=1, offset_groups=1, **options)
        self.mix = DeformConv2d(channels, channels, (1, 1), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        offset, mask = self.align.predict(x, modulated=True)
        assert_type(offset, Tensor)
        assert_type(mask, Tensor | None)
        assert_type(self.align.forward(x), Tensor)
        assert_type(self.mix.stride, tuple[int, int])
        assert_type(self.mix.bias, nn.Parameter | None)
        return self.mix.forward(x, offset[:, :2])


assert_type(str(dcnbuild.convert(Block(4))), str)
