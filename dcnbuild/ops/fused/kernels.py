"""The fused kernels, in Triton: samples go from the image straight into a matrix product, and never to memory.

`forward_kernel` computes the output, `sample_gradients_kernel` the gradients of offset, mask and image, and
`weight_gradients_kernel` that of the weight. Their samples follow csrc/common/sampling.h: what is outside, where a NaN
shows, and how often a coordinate is rounded. docs/kernels.md ("The fused route") explains the plan.

Rows are output positions, image after image. Every pointer is 64 bits wide; coordinates and counts are 32 bits. Names
in capitals are known to the compiler.
"""

from __future__ import annotations

import triton
import triton.language as tl

#: Of these the compiler learns nothing, so that every stride, padding and size shares one compiled kernel.
GEOMETRY = (
    *("height", "width", "kernel_w", "stride_h", "stride_w", "padding_h", "padding_w"),
    *("dilation_h", "dilation_w", "rows", "out_width", "positions", "offset_groups"),
)


@triton.jit
def row_places(tile, rows, out_width, positions, BM: tl.constexpr):
    """Of each row of a tile: whether it exists, its image (64 bits), and its place in the output."""
    row = tile * BM + tl.arange(0, BM)
    there = row < rows
    image = row // positions
    position = row - image * positions
    y = position // out_width
    return there, image.to(tl.int64), y, position - y * out_width


@triton.jit
def at_place(n, y, x, stride_n, stride_h, stride_w):
    """How far from a tensor's beginning each row's pixel lies (64 bits)."""
    return n * stride_n + y.to(tl.int64) * stride_h + x.to(tl.int64) * stride_w


@triton.jit
def coordinate(offset, at, there, origin, ACC: tl.constexpr):
    """A tap's place plus its offset, rounded once."""
    moved = tl.load(offset + at, mask=there, other=0.0).to(ACC)
    return origin.to(ACC) + moved


@triton.jit
def locate(y, x, there, height, width, ACC: tl.constexpr):
    """The pixel above and to the left, the distances to it, and whether a sample is inside the image.

    The distances of a NaN coordinate are NaN, those of a sample outside are zero. A coordinate is compared with the
    image's sides as an integer, since float32 does not hold every integer beyond 2^24.
    """
    limit = 1073741824.0
    placed = (y > -1.0) & (y < limit) & (x > -1.0) & (x < limit)
    y_floor = tl.floor(tl.where(placed, y, 0.0))
    x_floor = tl.floor(tl.where(placed, x, 0.0))
    y0 = y_floor.to(tl.int32)
    x0 = x_floor.to(tl.int32)
    inside = placed & (y0 < height) & (x0 < width)
    nowhere = tl.where((y != y) | (x != x), y + x, 0.0)
    ly = tl.where(inside, y - y_floor, nowhere).to(ACC)
    lx = tl.where(inside, x - x_floor, nowhere).to(ACC)
    return y0, x0, ly, lx, inside & there


@triton.jit
def corners(y0, x0, inside, height, width):
    """Which of the four neighbours lie in the image."""
    top = inside & (y0 >= 0)
    bottom = inside & (y0 + 1 < height)
    left = x0 >= 0
    right = x0 + 1 < width
    return top & left, top & right, bottom & left, bottom & right


@triton.jit
def find(
    offset, mask, sample, tap, there, n, oy, ox,
    height, width, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w,
    image_n, image_h, image_w, offset_n, offset_c, offset_h, offset_w,
    mask_n, mask_c, mask_h, mask_w, HAS_MASK: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Where one tap of one offset group reads, for each row; `sample` is its number in the mask's channels.

    Returns the modulation, the distances ly and lx, whether a sample is inside, which of its four neighbours lie in the
    image, and how far from the image's beginning the one above and to the left lies.
    """
    ky = tap // kernel_w
    kx = tap - ky * kernel_w
    offset_at = at_place(n, oy, ox, offset_n, offset_h, offset_w)
    offset_c = tl.cast(offset_c, tl.int64)
    offset_at += 2 * sample * offset_c
    y = coordinate(offset, offset_at, there, oy * stride_h - padding_h + ky * dilation_h, ACC)
    x = coordinate(offset, offset_at + offset_c, there, ox * stride_w - padding_w + kx * dilation_w, ACC)
    factor = tl.full(there.shape, 1.0, ACC)
    if HAS_MASK:
        mask_at = at_place(n, oy, ox, mask_n, mask_h, mask_w) + sample * tl.cast(mask_c, tl.int64)
        factor = tl.load(mask + mask_at, mask=there, other=0.0).to(ACC)
    y0, x0, ly, lx, inside = locate(y, x, there, height, width, ACC)
    t_l, t_r, b_l, b_r = corners(y0, x0, inside, height, width)
    pixel = at_place(n, y0, x0, image_n, image_h, image_w)
    return factor, ly, lx, inside, t_l, t_r, b_l, b_r, pixel


@triton.jit
def read(pointer, distance, has, channel, ACC: tl.constexpr):
    """One neighbour of each row, for a block of channels; zero outside the image."""
    values = tl.load(pointer + distance, mask=has[:, None] & channel[None, :], other=0.0)
    return values.to(ACC)


@triton.jit
def blend(pointer, image_h, image_w, t_l, t_r, b_l, b_r, channel, ly, lx, factor, ACC: tl.constexpr):
    """The modulated samples of each row, for a block of channels: Σ (bilinear weight · mask) · pixel."""
    above = (1.0 - ly) * factor
    below = ly * factor
    top = read(pointer, 0, t_l, channel, ACC) * (above * (1.0 - lx))[:, None]
    top += read(pointer, image_w, t_r, channel, ACC) * (above * lx)[:, None]
    bottom = read(pointer, image_h, b_l, channel, ACC) * (below * (1.0 - lx))[:, None]
    bottom += read(pointer, image_h + image_w, b_r, channel, ACC) * (below * lx)[:, None]
    # a factor that is not finite must not come through channels that do not exist
    return tl.where(channel[None, :], top + bottom, 0.0)


@triton.jit(do_not_specialize=GEOMETRY)
def forward_kernel(
    image, offset, mask, weight, bias, output,
    height, width, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w,
    rows, out_width, positions, offset_groups,
    taps, group_channels, group_outputs, offset_channels, segment,
    image_n, image_h, image_w, offset_n, offset_c, offset_h, offset_w,
    mask_n, mask_c, mask_h, mask_w, weight_t, weight_o,
    output_n, output_c, output_h, output_w,
    HAS_MASK: tl.constexpr, HAS_BIAS: tl.constexpr, PRECISION: tl.constexpr, ACC: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """output[row, o] = bias[o] + Σ over taps and channels of sample · weight.

    A program computes BM rows of BN output channels of one group. image has its channels side by side; weight is
    [tap][output channel][channel of the group]. A segment is a run of channels with one group and one offset group.
    """
    blocks = (group_outputs + BN - 1) // BN
    groups = offset_groups * offset_channels // group_channels
    tile = tl.program_id(0) // (blocks * groups)
    part = tl.program_id(0) % (blocks * groups)
    group = part // blocks
    there, n, oy, ox = row_places(tile, rows, out_width, positions, BM)
    column = part % blocks * BN + tl.arange(0, BN)
    column_there = column < group_outputs
    column += group * group_outputs
    weight_t = tl.cast(weight_t, tl.int64)
    sums = tl.full((BM, BN), 0.0, ACC)
    for first in range(0, group_channels, segment):
        offset_group = (group * group_channels + first) // offset_channels
        for tap in range(0, taps):
            sample = offset_group * taps + tap
            factor, ly, lx, _inside, t_l, t_r, b_l, b_r, pixel = find(
                offset, mask, sample, tap, there, n, oy, ox, height, width, kernel_w,
                stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w,
                image_n, image_h, image_w, offset_n, offset_c, offset_h, offset_w,
                mask_n, mask_c, mask_h, mask_w, HAS_MASK, ACC)  # fmt: skip
            pixel += group * group_channels + first
            matrix = weight + weight_t * tap + column.to(tl.int64) * weight_o + first
            for c in range(0, segment, BK):
                k = c + tl.arange(0, BK)
                k_there = k < segment
                samples = blend(
                    image + pixel[:, None] + k[None, :], image_h, image_w, t_l, t_r, b_l, b_r, k_there,
                    ly, lx, factor, ACC)  # fmt: skip
                weights = tl.load(
                    matrix[None, :] + k[:, None],
                    mask=k_there[:, None] & column_there[None, :], other=0.0)  # fmt: skip
                sums = tl.dot(
                    samples.to(weights.dtype), weights, sums,
                    input_precision=PRECISION, out_dtype=ACC)  # fmt: skip
    if HAS_BIAS:
        sums += tl.load(bias + column, mask=column_there, other=0.0).to(ACC)[None, :]
    to = output + at_place(n, oy, ox, output_n, output_h, output_w)
    tl.store(
        to[:, None] + column.to(tl.int64)[None, :] * output_c,
        sums.to(output.dtype.element_ty), mask=there[:, None] & column_there[None, :])  # fmt: skip
