"""The sizes of a call of deform_conv2d, apart from its tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from dcnbuild.ops.reference.deform_conv2d import Attributes


@dataclass(frozen=True)
class Shape:
    """The sizes of a call: input [N, C, H, W], output [N, O, H', W'], bytes of an element of the input.

    `padded` are the sides of the input with its padding, in pixels.
    """

    batch: int
    channels: int
    size: tuple[int, int]
    out_channels: int
    out_size: tuple[int, int]
    kernel: tuple[int, int]
    groups: int
    offset_groups: int
    element_size: int
    padded: tuple[int, int] = (0, 0)

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]

    @property
    def positions(self) -> int:
        return self.out_size[0] * self.out_size[1]

    @property
    def programs(self) -> int:
        """Programs of an image, at most, with the smallest tiles: their numbers are 32 bits wide."""
        return self.positions * max(self.taps * self.offset_groups, self.out_channels // 16 + 1)

    @property
    def segment(self) -> int:
        """The channels of a run with one group and one offset group; every group is whole runs."""
        return math.gcd(self.channels // self.groups, self.channels // self.offset_groups)


def shape_of(input: Tensor, offset: Tensor, weight: Tensor, a: Attributes) -> Shape:
    """The sizes of a call whose arguments were checked."""
    batch, channels, height, width = input.shape
    return Shape(
        *(batch, channels, (height, width), weight.shape[0], (offset.shape[2], offset.shape[3])),
        *((weight.shape[2], weight.shape[3]), a.groups, a.offset_groups, input.element_size()),
        (height + 2 * a.padding[0], width + 2 * a.padding[1]),
    )
