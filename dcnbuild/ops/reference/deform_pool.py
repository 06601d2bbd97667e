"""Deformable PS-RoI pooling and deformable RoI pooling in plain torch: the oracle, and the fallback without a compiler.

It is written to be read, so it is slow, and its memory grows with RoIs x channels x samples. It is differentiable any
number of times in the input and the offsets; RoIs are constants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dcnbuild.ops.reference.derivatives import pull_back
from dcnbuild.ops.reference.images import SIDE_LIMIT


class Pooling(NamedTuple):
    """The attributes of a pooling, of either kind.

    Attributes:
        position_sensitive: whether it is PS-RoI pooling; otherwise RoI pooling.
        pooled: bins per RoI, (rows, columns).
        cells: offsets per RoI and class, (rows, columns).
        group_size: input channels = output channels · group_size².
        samples: of a bin, along each axis; 0: as many as its pixels, rounded up.
        spatial_scale: factor from a RoI's coordinates to the input's.
        offset_scale: factor from an offset to fractions of the RoI's size.
    """

    position_sensitive: bool
    pooled: tuple[int, int]
    cells: tuple[int, int]
    group_size: int
    samples: int
    spatial_scale: float
    offset_scale: float

    @property
    def margin(self) -> float:
        """Returns the distance beyond the outermost pixels, in pixels, at which a sample still counts."""
        return 0.5 if self.position_sensitive else 1.0

    @property
    def shift(self) -> float:
        """Returns the position of a sample inside its part of the bin, as a fraction."""
        return 0.0 if self.position_sensitive else 0.5


def psroi_pooling(
    spatial_scale: float,
    group_size: int,
    pooled_size: int,
    part_size: int,
    sample_per_part: int,
    trans_std: float,
) -> Pooling:
    """Makes the attributes of deform_psroi_pool, from the schema's order."""
    size, parts = (pooled_size, pooled_size), (part_size, part_size)
    return Pooling(True, size, parts, group_size, sample_per_part, spatial_scale, trans_std)


def roi_pooling(output_size: Sequence[int], spatial_scale: float, sampling_ratio: int, gamma: float) -> Pooling:
    """Makes the attributes of deform_roi_pool, from the schema's order."""
    size = (output_size[0], output_size[1])
    return Pooling(False, size, size, 1, max(sampling_ratio, 0), spatial_scale, gamma)


class Axis(NamedTuple):
    """The positions of every RoI along one axis, in pixels of the input.

    Attributes:
        begin, size: [R]; size is the RoI's.
        placed: [R]; False for a RoI that is not finite or has 2^30 pixels or more, whose begin and size are 0.
    """

    begin: Tensor
    size: Tensor
    placed: Tensor

    def of(self, rois: Tensor) -> Axis:
        """Returns the axis for some of the RoIs."""
        return Axis(self.begin[rois], self.size[rois], self.placed[rois])


def _round(x: Tensor) -> Tensor:
    """Rounds half away from zero, like C's round."""
    whole = x.abs().floor() * x.sign()
    return torch.where((x - whole).abs() >= 0.5, whole + x.sign(), whole)


def _axis(begin: Tensor, end: Tensor, p: Pooling) -> Axis:
    if p.position_sensitive:
        begin, end = _round(begin), _round(end) + 1
    begin, end = begin * p.spatial_scale - 0.5, end * p.spatial_scale - 0.5
    size = end - begin
    placed = (begin.abs() < 2**30) & (size.abs() < 2**30)
    if p.position_sensitive:
        # The RoI is empty, or its ends are exchanged.
        size = size.clamp_min(0.1)
    return Axis(torch.where(placed, begin, 0), torch.where(placed, size, 0), placed)


class Side(NamedTuple):
    """Samples along one axis, [..., S]: the pixels before and after each, the distance from the former, and whether
    inside.
    """

    low: Tensor
    high: Tensor
    distance: Tensor
    inside: Tensor


def _side(at: Tensor, pixels: int, p: Pooling) -> Side:
    """Clamps positions onto the outermost pixels. The derivative is zero where there is no second pixel."""
    last = max(pixels - 1, 0)
    before = at < 0
    placed = (at >= -p.margin) & (at < SIDE_LIMIT) & (pixels > 0)
    floor = torch.where(placed & ~before, at, 0).detach().floor()
    # Compares and clamps integers, because float32 does not hold every integer beyond 2^24.
    low = floor.long()
    beyond = low - last
    inside = placed & ((beyond < 0) | before | (beyond + (at - floor) <= p.margin))
    following = ~before & (beyond < 0)
    # On a pixel, PS-RoI pooling has no second pixel, so its derivative is zero; RoI pooling takes the next pixel.
    if p.position_sensitive:
        following = following & (at > floor)
    distance = torch.where(inside & following, at - floor, 0)
    low = low.clamp_max(last)
    return Side(low, low + following, distance, inside)


def _samples(count: int, first: Tensor, size: Tensor, p: Pooling) -> Tensor:
    """Returns [..., count] positions in bins that begin at `first` and are `size` long."""
    step = size / max(count, 1)
    steps = torch.arange(count, dtype=first.dtype, device=first.device) + p.shift
    return first[..., None] + steps * step[..., None]


def _pool_some(
    input: Tensor,
    images: Tensor,
    y: Axis,
    x: Axis,
    offset: Tensor | None,
    counts: tuple[int, int],
    p: Pooling,
) -> tuple[Tensor, Tensor]:
    """Pools RoIs with the same number of samples: returns the output [R, O, ph, pw] and sample counts [R, classes, ph,
    pw].
    """
    height, width = input.shape[2:]
    out_channels = input.shape[1] // p.group_size**2
    rows = torch.arange(p.pooled[0], device=input.device)
    columns = torch.arange(p.pooled[1], device=input.device)
    cell_rows = (rows * p.cells[0]).div(p.pooled[0], rounding_mode="floor")
    cell_columns = (columns * p.cells[1]).div(p.pooled[1], rounding_mode="floor")
    bin_h, bin_w = y.size / p.pooled[0], x.size / p.pooled[1]
    first_y = (y.begin[:, None] + rows * bin_h[:, None])[:, None, :, None]
    first_x = (x.begin[:, None] + columns * bin_w[:, None])[:, None, None, :]
    if offset is not None:
        # [R, classes, ph, pw], each bin with its cell's offset
        pairs = offset.unflatten(1, (-1, 2))[:, :, :, cell_rows][..., cell_columns]
        first_y = first_y + pairs[:, :, 1] * p.offset_scale * y.size[:, None, None, None]
        first_x = first_x + pairs[:, :, 0] * p.offset_scale * x.size[:, None, None, None]
    shape = torch.broadcast_shapes(first_y.shape, first_x.shape)
    first_y, first_x = first_y.expand(shape), first_x.expand(shape)
    lost = first_y.isnan() | first_x.isnan()
    lost = lost | ~(y.placed & x.placed & (images >= 0))[:, None, None, None]

    # [R, classes, ph, pw, S]
    down = _side(_samples(counts[0], first_y, bin_h[:, None, None, None], p), height, p)
    right = _side(_samples(counts[1], first_x, bin_w[:, None, None, None], p), width, p)
    both = down.inside[..., :, None] & right.inside[..., None, :]
    inside = both.sum((-1, -2))
    per_class = out_channels // shape[1]

    channels = torch.arange(out_channels, device=input.device)[:, None, None]
    group_rows = (rows * p.group_size).div(p.pooled[0], rounding_mode="floor")[:, None]
    group_columns = (columns * p.group_size).div(p.pooled[1], rounding_mode="floor")
    plane = (channels * p.group_size + group_rows) * p.group_size + group_columns

    def each_channel(t: Tensor) -> Tensor:
        return t.repeat_interleave(per_class, dim=1)

    counted = each_channel(both)

    def corner(row: Tensor, column: Tensor) -> Tensor:
        index = each_channel(row)[..., :, None] * width + each_channel(column)[..., None, :]
        if height * width == 0 or input.shape[0] == 0:
            # The input is empty: its sum is zero, and keeps the gradient's path to `input`.
            return input.sum().expand(index.shape)
        image = images.clamp_min(0)[:, None, None, None, None, None]
        pixels = input.flatten(2)[image, plane[None, ..., None, None], index]
        # A sample outside is a constant zero, for any value of the pixel that is read instead.
        return torch.where(counted, pixels, 0)

    wy, wx = each_channel(down.distance)[..., :, None], each_channel(right.distance)[..., None, :]
    value = (1 - wy) * ((1 - wx) * corner(down.low, right.low) + wx * corner(down.low, right.high)) + wy * (
        (1 - wx) * corner(down.high, right.low) + wx * corner(down.high, right.high)
    )
    total = torch.where(counted, value, 0).sum((-1, -2))
    divisor = inside if p.position_sensitive else torch.full_like(inside, counts[0] * counts[1])
    output = total / each_channel(divisor.clamp_min(1))
    # This NaN depends on the offset, so the offset's gradient is NaN too; the input's gradient does not change.
    nan = torch.where(lost, first_y + first_x, 0) * torch.where(lost, math.nan, 0).to(output.dtype)
    return torch.where(each_channel(lost), each_channel(nan), output), inside


def forward(input: Tensor, rois: Tensor, offset: Tensor | None, p: Pooling) -> Tensor:
    """[N, C, H, W] input, [R, 5] RoIs and [R, 2 · classes, *cells] offsets (x before y) → [R, O, *pooled]."""
    return _forward(input, rois, offset, p)[0]


def counts(input: Tensor, rois: Tensor, offset: Tensor | None, p: Pooling) -> Tensor:
    """Returns the number of samples of each output element in the image: [R, O, *pooled], of the input's dtype."""
    inside = _forward(input, rois, offset, p)[1]
    out_channels = input.shape[1] // p.group_size**2
    return inside.repeat_interleave(out_channels // inside.shape[1], dim=1).to(input.dtype)


def _forward(input: Tensor, rois: Tensor, offset: Tensor | None, p: Pooling) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(input.dtype, torch.float32)
    data, fields = input.to(dtype), rois.detach().to(dtype)
    offsets = None if offset is None else offset.to(dtype)
    number = fields[:, 0]
    known = (number >= 0) & (number < input.shape[0])
    images = torch.where(known, number, -1).long()
    y, x = _axis(fields[:, 2], fields[:, 4], p), _axis(fields[:, 1], fields[:, 3], p)
    if p.samples > 0:
        output, inside = _pool_some(data, images, y, x, offsets, (p.samples, p.samples), p)
        return output.to(input.dtype), inside
    # Pools RoIs with the same number of samples together.
    # Calls int() for each, since tolist() of torch 2.0 does not work for a tensor that a transform has wrapped.
    rows = [int(size) for size in (y.size / p.pooled[0]).ceil().clamp_min(0)]
    columns = [int(size) for size in (x.size / p.pooled[1]).ceil().clamp_min(0)]
    out_channels = input.shape[1] // p.group_size**2
    classes = 1 if offset is None else offset.shape[1] // 2
    output = data.new_zeros(rois.shape[0], out_channels, *p.pooled)
    inside = rois.new_zeros(rois.shape[0], classes, *p.pooled, dtype=torch.long)
    grids = list(zip(rows, columns))
    for pair in sorted(set(grids)) or [(0, 0)]:
        chosen = torch.tensor(
            [i for i, grid in enumerate(grids) if grid == pair],
            dtype=torch.long,
            device=input.device,
        )
        some = _pool_some(
            data,
            images[chosen],
            y.of(chosen),
            x.of(chosen),
            None if offsets is None else offsets[chosen],
            pair,
            p,
        )
        output = output.index_put((chosen,), some[0])
        inside = inside.index_put((chosen,), some[1])
    return output.to(input.dtype), inside


def backward(
    grad_output: Tensor, input: Tensor, rois: Tensor, offset: Tensor | None, p: Pooling
) -> tuple[Tensor | None, ...]:
    """Returns the gradients of input and offset, by differentiating `forward`; differentiable."""
    return pull_back(lambda i, o: forward(i, rois, o, p), (input, offset), grad_output)
