"""Deformable convolution in plain torch: the oracle of the tests, and the fallback where nothing can be compiled.

It follows Dai et al., "Deformable Convolutional Networks" (2017), and equation 1 of Zhu et al., "Deformable ConvNets
v2" (2019), and is written to be read. It is slow, and its memory grows with channels x taps x output positions. Every
operation is differentiable any number of times.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dcnbuild.ops.reference.derivatives import pull_back
from dcnbuild.ops.reference.images import SIDE_LIMIT


class Attributes(NamedTuple):
    """The integers of a call, in the schema's order; pairs are (y, x)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    offset_groups: int


def output_size(height: int, width: int, kernel: tuple[int, int], a: Attributes) -> tuple[int, int]:
    """Returns height and width of the output, in pixels; they may be zero or negative."""
    return (
        (height + 2 * a.padding[0] - a.dilation[0] * (kernel[0] - 1) - 1) // a.stride[0] + 1,
        (width + 2 * a.padding[1] - a.dilation[1] * (kernel[1] - 1) - 1) // a.stride[1] + 1,
    )


class Taps(NamedTuple):
    """The four pixels around every sample, and its position between them.

    Attributes:
        corners: top left, top right, bottom left and bottom right pixel, each [N, C, K, P]; zero outside the image.
        ly, lx: distance from the top left pixel, [N, G', K, P]; 0 outside the image, NaN for a NaN coordinate.
        outside: [N, G', K, P]; True for a sample that is a constant zero, for which offset and mask have zero
            gradients.
    """

    corners: tuple[Tensor, Tensor, Tensor, Tensor]
    ly: Tensor
    lx: Tensor
    outside: Tensor

    def columns(self, mask: Tensor | None) -> Tensor:
        """Returns the bilinear samples times `mask` [N, G', K, P], [N, C, K, P]. The mask multiplies the bilinear
        weights.
        """
        if mask is None:
            above, below = 1 - self.ly, self.ly
        else:
            mask = torch.where(self.outside, mask.detach(), mask)
            above, below = (1 - self.ly) * mask, self.ly * mask
        return self._sum(above * (1 - self.lx), above * self.lx, below * (1 - self.lx), below * self.lx)

    def tangent(self, dy: Tensor, dx: Tensor, mask: Tensor | None) -> Tensor:
        """Returns the columns' tangent when the samples move along (`dy`, `dx`), each [N, G', K, P]."""
        dy, dx = torch.where(self.outside, 0, dy), torch.where(self.outside, 0, dx)
        if mask is not None:
            dy, dx = dy * mask, dx * mask
        hy, hx = 1 - self.ly, 1 - self.lx
        return self._sum(
            -dy * hx - hy * dx, hy * dx - dy * self.lx, dy * hx - self.ly * dx, dy * self.lx + self.ly * dx
        )  # fmt: skip

    def _sum(self, *weights: Tensor) -> Tensor:
        """Returns the sum over the corners of weight [N, G', K, P] times pixel."""
        channels = self.corners[0].shape[1]
        tl, tr, bl, br = (per_channel(weight, channels) * pixel for weight, pixel in zip(weights, self.corners))
        return (tl + tr) + (bl + br)


def per_channel(taps: Tensor, channels: int) -> Tensor:
    """[N, G', K, P] → [N, C, K, P]: repeats the values of each offset group for its channels."""
    return taps.repeat_interleave(channels // taps.shape[1], dim=1)


def grouped(taps: Tensor, a: Attributes) -> Tensor:
    """[N, G' · K, H', W'] → [N, G', K, P]."""
    return taps.flatten(2).unflatten(1, (a.offset_groups, -1))


def locate(input: Tensor, offset: Tensor, a: Attributes, kernel: tuple[int, int]) -> Taps:
    """Finds the pixels around every sample of [N, C, H, W] `input`."""
    out_h, out_w = offset.shape[2:]
    taps = kernel[0] * kernel[1]
    # Integers until the offset is added, so that a coordinate is rounded only once.
    device = offset.device
    rows = torch.arange(out_h, device=device) * a.stride[0] - a.padding[0]
    columns = torch.arange(out_w, device=device) * a.stride[1] - a.padding[1]
    tap_y = torch.arange(kernel[0], device=device) * a.dilation[0]
    tap_x = torch.arange(kernel[1], device=device) * a.dilation[1]
    shape = (*kernel, out_h, out_w)
    base_y = (rows[:, None] + tap_y[:, None, None, None]).expand(shape).reshape(taps, -1)
    base_x = (columns + tap_x[:, None, None]).expand(shape).reshape(taps, -1)
    pairs = offset.flatten(2).unflatten(1, (a.offset_groups, -1, 2))
    y = base_y.to(offset.dtype) + pairs[:, :, :, 0]
    x = base_x.to(offset.dtype) + pairs[:, :, :, 1]
    return taps_at(input, y, x)


def taps_at(input: Tensor, y: Tensor, x: Tensor) -> Taps:
    """Finds the pixels of [N, C, H, W] `input` around the pixel coordinates `y` and `x`, each [N, G', K, P]."""
    n, channels, height, width = input.shape
    taps, positions = y.shape[2:]
    # Compares integers, because float32 does not hold every integer beyond 2^24.
    placed = (y > -1) & (y < SIDE_LIMIT) & (x > -1) & (x < SIDE_LIMIT)
    y0 = torch.where(placed, y, 0).detach().floor()
    x0 = torch.where(placed, x, 0).detach().floor()
    row, column = y0.long(), x0.long()
    inside = placed & (row < height) & (column < width)
    nan = y.isnan() | x.isnan()
    nowhere = torch.where(nan, y + x, 0)
    ly = torch.where(inside, y - y0, nowhere)
    lx = torch.where(inside, x - x0, nowhere)

    pixels = input.flatten(2)[:, :, None].expand(-1, -1, taps, -1)

    def corner(down: int, right: int) -> Tensor:
        r, c = row + down, column + right
        valid = inside & (r >= 0) & (r < height) & (c >= 0) & (c < width)
        index = torch.where(valid, r * width + c, 0)
        if height * width == 0:
            # The image is empty: its sum is zero, and keeps the gradient's path to `input`.
            return input.flatten(2).sum(2)[:, :, None, None].expand(n, channels, taps, positions)
        value = pixels.gather(3, per_channel(index, channels))
        return torch.where(per_channel(valid, channels), value, 0)

    return Taps((corner(0, 0), corner(0, 1), corner(1, 0), corner(1, 1)), ly, lx, ~inside & ~nan)


def multiply(weight: Tensor, columns: Tensor, a: Attributes, size: tuple[int, int]) -> Tensor:
    """Multiplies columns [N, C, K, P] by weight [O, C/groups, kh, kw]: [N, O, H', W']."""
    matrix = weight.flatten(1).unflatten(0, (a.groups, weight.shape[0] // a.groups))
    blocks = columns.flatten(1, 2).unflatten(1, (a.groups, -1))
    return (matrix @ blocks).reshape(columns.shape[0], weight.shape[0], *size)


def forward(
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    a: Attributes,
) -> Tensor:
    """Computes the operator from the tensors of `torch.ops.dcnbuild.deform_conv2d`."""
    kernel = (weight.shape[2], weight.shape[3])
    dtype = torch.promote_types(input.dtype, torch.float32)
    modulation = None if mask is None else grouped(mask.to(dtype), a)
    columns = locate(input.to(dtype), offset.to(dtype), a, kernel).columns(modulation)
    size = output_size(input.shape[2], input.shape[3], kernel, a)
    output = multiply(weight.to(dtype), columns, a, size)
    if bias is not None:
        output = output + bias.to(dtype)[:, None, None]
    return output.to(input.dtype)


def offset_tangent(
    tangent: Tensor,
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    a: Attributes,
) -> Tensor:
    """Returns the output's tangent when `offset` moves along `tangent` (forward-mode derivative), [N, O, H', W']."""
    kernel = (weight.shape[2], weight.shape[3])
    dtype = torch.promote_types(input.dtype, torch.float32)
    pairs = tangent.to(dtype).flatten(2).unflatten(1, (a.offset_groups, -1, 2))
    modulation = None if mask is None else grouped(mask.to(dtype), a)
    columns = locate(input.to(dtype), offset.to(dtype), a, kernel).tangent(
        pairs[:, :, :, 0], pairs[:, :, :, 1], modulation
    )
    return multiply(weight.to(dtype), columns, a, (tangent.shape[2], tangent.shape[3])).to(input.dtype)


def bias_tangent(
    tangent: Tensor,
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    a: Attributes,
) -> Tensor:
    """Returns the output's tangent when `bias` moves along `tangent`, [N, O, H', W']."""
    return tangent[:, None, None].expand(input.shape[0], -1, offset.shape[2], offset.shape[3])


def backward(
    grad_output: Tensor,
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    a: Attributes,
) -> tuple[Tensor | None, ...]:
    """Returns the gradients of input, offset, mask, weight and bias, by differentiating `forward`; differentiable."""
    tensors = (input, offset, mask, weight, weight.new_zeros(weight.shape[0]))
    return pull_back(lambda i, o, m, w, b: forward(i, o, m, w, b, a), tensors, grad_output)
