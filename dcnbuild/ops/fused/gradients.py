"""The fused kernels of the backward pass, in Triton (kernels.py has the forward pass, and what these share with it)."""

from __future__ import annotations

import triton
import triton.language as tl

from dcnbuild.ops.fused.kernels import GEOMETRY, at_place, blend, find, read, row_places

#: What tl.sum adds with. By this name Triton's interpreter takes it without having been told before torch was imported.
plus = tl.standard._sum_combine


@triton.jit
def dot_of_rows(a, b):
    """For each row, the sum of the products over the channels."""
    return tl.reduce(a * b, 1, plus)


@triton.jit
def add(pointer, distance, values, has, channel):
    """Adds to one neighbour of each row, for a block of channels."""
    tl.atomic_add(
        pointer + distance, values, mask=has[:, None] & channel[None, :], sem="relaxed"
    )  # fmt: skip


@triton.jit(do_not_specialize=GEOMETRY)
def sample_gradients_kernel(
    image, offset, mask, weight, grad_output, grad_image, grad_offset, grad_mask,
    height, width, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w,
    rows, out_width, positions, offset_groups,
    taps, group_channels, group_outputs, offset_channels, segment,
    image_n, image_h, image_w, offset_n, offset_c, offset_h, offset_w,
    mask_n, mask_c, mask_h, mask_w, weight_t, weight_c,
    output_n, output_c, output_h, output_w,
    grad_offset_n, grad_offset_c, grad_offset_h, grad_offset_w,
    grad_mask_n, grad_mask_c, grad_mask_h, grad_mask_w,
    HAS_MASK: tl.constexpr, WITH_IMAGE: tl.constexpr, WITH_OFFSET: tl.constexpr,
    WITH_MASK: tl.constexpr, PRECISION: tl.constexpr, ACC: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """The gradients of what one tap of one offset group reads, for BM rows.

    A sample's gradient is Σ over output channels of grad_output · weight: a product of BM x BK by BK x BN for each
    block of BN channels, which stays in registers. It is added to four pixels of grad_image (as image, in ACC), and
    gives a dot product with each of them, from which the gradients of offset and mask follow. weight is [tap][channel
    of the group][output channel].
    """
    tile = tl.program_id(0) // (offset_groups * taps)
    sample = tl.program_id(0) % (offset_groups * taps)
    offset_group = sample // taps
    tap = sample - offset_group * taps
    there, n, oy, ox = row_places(tile, rows, out_width, positions, BM)
    factor, ly, lx, inside, t_l, t_r, b_l, b_r, pixel = find(
        offset, mask, sample, tap, there, n, oy, ox, height, width, kernel_w,
        stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w,
        image_n, image_h, image_w, offset_n, offset_c, offset_h, offset_w,
        mask_n, mask_c, mask_h, mask_w, HAS_MASK, ACC)  # fmt: skip
    hy = 1.0 - ly
    hx = 1.0 - lx
    output_at = at_place(n, oy, ox, output_n, output_h, output_w)
    output_c = tl.cast(output_c, tl.int64)
    weight_c = tl.cast(weight_c, tl.int64)
    matrix = weight + tap * tl.cast(weight_t, tl.int64)
    dot_t_l = tl.full((BM,), 0.0, ACC)
    dot_t_r = tl.full((BM,), 0.0, ACC)
    dot_b_l = tl.full((BM,), 0.0, ACC)
    dot_b_r = tl.full((BM,), 0.0, ACC)
    for first in range(0, offset_channels, segment):
        channel = offset_group * offset_channels + first
        group = channel // group_channels
        in_group = channel - group * group_channels
        for c in range(0, segment, BN):
            k = c + tl.arange(0, BN)
            k_there = k < segment
            grad = tl.full((BM, BN), 0.0, ACC)
            for o in range(0, group_outputs, BK):
                at = o + tl.arange(0, BK)
                at_there = at < group_outputs
                at += group * group_outputs
                upstream = tl.load(
                    grad_output + output_at[:, None] + (output_c * at)[None, :],
                    mask=there[:, None] & at_there[None, :], other=0.0)  # fmt: skip
                weights = tl.load(
                    matrix + at[:, None] + (weight_c * (in_group + k))[None, :],
                    mask=at_there[:, None] & k_there[None, :], other=0.0)  # fmt: skip
                grad = tl.dot(
                    upstream, weights, grad, input_precision=PRECISION, out_dtype=ACC)  # fmt: skip
            # an upstream gradient that is not finite must not come through channels that do not exist
            grad = tl.where(k_there[None, :], grad, 0.0)
            at_pixel = pixel[:, None] + (channel + k)[None, :]
            if WITH_OFFSET or WITH_MASK:
                from_ = image + at_pixel
                dot_t_l += dot_of_rows(grad, read(from_, 0, t_l, k_there, ACC))
                dot_t_r += dot_of_rows(grad, read(from_, image_w, t_r, k_there, ACC))
                dot_b_l += dot_of_rows(grad, read(from_, image_h, b_l, k_there, ACC))
                dot_b_r += dot_of_rows(grad, read(from_, image_h + image_w, b_r, k_there, ACC))
            if WITH_IMAGE:
                to = grad_image + at_pixel
                add(to, 0, grad * (hy * factor * hx)[:, None], t_l, k_there)
                add(to, image_w, grad * (hy * factor * lx)[:, None], t_r, k_there)
                add(to, image_h, grad * (ly * factor * hx)[:, None], b_l, k_there)
                add(to, image_h + image_w, grad * (ly * factor * lx)[:, None], b_r, k_there)
    outside = (inside == 0) & (ly == ly)
    if WITH_OFFSET:
        to = grad_offset + at_place(n, oy, ox, grad_offset_n, grad_offset_h, grad_offset_w)
        grad_offset_c = tl.cast(grad_offset_c, tl.int64)
        to += 2 * sample * grad_offset_c
        dy = factor * (hx * dot_b_l + lx * dot_b_r) - factor * (hx * dot_t_l + lx * dot_t_r)
        dx = (hy * factor * dot_t_r + ly * factor * dot_b_r) - (hy * factor * dot_t_l + ly * factor * dot_b_l)
        dtype = grad_offset.dtype.element_ty
        tl.store(to, tl.where(outside, 0.0, dy).to(dtype), mask=there)
        tl.store(to + grad_offset_c, tl.where(outside, 0.0, dx).to(dtype), mask=there)
    if WITH_MASK:
        to = grad_mask + at_place(n, oy, ox, grad_mask_n, grad_mask_h, grad_mask_w)
        to += sample * tl.cast(grad_mask_c, tl.int64)
        dm = hy * (hx * dot_t_l + lx * dot_t_r) + ly * (hx * dot_b_l + lx * dot_b_r)
        tl.store(to, tl.where(outside, 0.0, dm).to(grad_mask.dtype.element_ty), mask=there)


@triton.jit(do_not_specialize=(*GEOMETRY, "split_rows"))
def weight_gradients_kernel(
    image, offset, mask, grad_output, grad_weight,
    height, width, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w,
    rows, out_width, positions, offset_groups,
    taps, group_channels, group_outputs, offset_channels, segment, split_rows,
    image_n, image_h, image_w, offset_n, offset_c, offset_h, offset_w,
    mask_n, mask_c, mask_h, mask_w, output_n, output_c, output_h, output_w,
    split_n, weight_t, weight_c,
    HAS_MASK: tl.constexpr, PRECISION: tl.constexpr, ACC: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """grad_weight[split, tap, channel, o] = Σ over the rows of a split of sample · grad_output.

    A program sums BM channels of one tap by BN output channels over split_rows rows, BK at a time, and writes them
    once: the caller sums the splits, always in the same order.
    """
    out_blocks = (group_outputs + BN - 1) // BN
    blocks = (segment + BM - 1) // BM
    segments = offset_groups * offset_channels // segment
    pid = tl.program_id(0)
    out_block = pid % out_blocks
    pid = pid // out_blocks
    block = pid % blocks
    pid = pid // blocks
    channel = pid % segments * segment
    pid = pid // segments
    tap = pid % taps
    split = pid // taps
    group = channel // group_channels
    sample = channel // offset_channels * taps + tap
    k = block * BM + tl.arange(0, BM)
    k_there = k < segment
    o = out_block * BN + tl.arange(0, BN)
    o_there = o < group_outputs
    o += group * group_outputs
    output_c = tl.cast(output_c, tl.int64) * o
    begin = split * (split_rows // BK)
    end = tl.minimum(begin + split_rows // BK, (rows + BK - 1) // BK)
    sums = tl.full((BM, BN), 0.0, ACC)
    for tile in range(begin, end):
        there, n, oy, ox = row_places(tile, rows, out_width, positions, BK)
        factor, ly, lx, _inside, t_l, t_r, b_l, b_r, pixel = find(
            offset, mask, sample, tap, there, n, oy, ox, height, width, kernel_w,
            stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w,
            image_n, image_h, image_w, offset_n, offset_c, offset_h, offset_w,
            mask_n, mask_c, mask_h, mask_w, HAS_MASK, ACC)  # fmt: skip
        samples = blend(
            image + (pixel + channel)[:, None] + k[None, :], image_h, image_w, t_l, t_r, b_l, b_r,
            k_there, ly, lx, factor, ACC)  # fmt: skip
        output_at = at_place(n, oy, ox, output_n, output_h, output_w)
        upstream = tl.load(
            grad_output + output_at[:, None] + output_c[None, :],
            mask=there[:, None] & o_there[None, :], other=0.0)  # fmt: skip
        sums = tl.dot(
            tl.trans(samples.to(upstream.dtype)), upstream, sums,
            input_precision=PRECISION, out_dtype=ACC)  # fmt: skip
    to = grad_weight + split * tl.cast(split_n, tl.int64) + tap * tl.cast(weight_t, tl.int64)
    to += (channel - group * group_channels) * tl.cast(weight_c, tl.int64)
    tl.store(
        to + k.to(tl.int64)[:, None] * weight_c + o[None, :], sums,
        mask=k_there[:, None] & o_there[None, :])  # fmt: skip
