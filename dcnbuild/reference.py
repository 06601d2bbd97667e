"""Deformable convolution in plain torch: the oracle of the tests, and what runs where nothing can be compiled.

Dai et al., "Deformable Convolutional Networks" (2017), and equation 1 of Zhu et al., "Deformable ConvNets v2" (2019),
written for reading. Slow, and its memory grows with channels x taps x output positions; every operation is
differentiable any number of times.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dcnbuild.ops.arguments import Attributes, output_size, parse


class Taps(NamedTuple):
    """The four pixels around every sample, and where between them it lies.

    Attributes:
        corners: top left, top right, bottom left and bottom right pixel, each [N, C, K, P]; zero outside the image.
        ly, lx: distance from the top left pixel, [N, C or 1, K, P]; 0 outside the image, NaN for a NaN coordinate.
    """

    corners: tuple[Tensor, Tensor, Tensor, Tensor]
    ly: Tensor
    lx: Tensor

    def value(self) -> Tensor:
        """The bilinear samples, [N, C, K, P]."""
        tl, tr, bl, br = self.corners
        return (1 - self.ly) * ((1 - self.lx) * tl + self.lx * tr) + self.ly * (
            (1 - self.lx) * bl + self.lx * br
        )

    def derivatives(self) -> tuple[Tensor, Tensor]:
        """The derivatives of the samples by y and by x, each [N, C, K, P]."""
        tl, tr, bl, br = self.corners
        dy = (1 - self.lx) * (bl - tl) + self.lx * (br - tr)
        dx = (1 - self.ly) * (tr - tl) + self.ly * (br - bl)
        return dy, dx


def per_channel(taps: Tensor, a: Attributes, channels: int) -> Tensor:
    """[N, offset groups * K, H', W'] → [N, C, K, P]: what each offset group shares, repeated for its channels."""
    grouped = taps.flatten(2).unflatten(1, (a.offset_groups, -1))
    return grouped.repeat_interleave(channels // a.offset_groups, dim=1)


def locate(input: Tensor, offset: Tensor, a: Attributes, kernel: tuple[int, int]) -> Taps:
    """Finds the pixels around every sample of [N, C, H, W] `input`."""
    n, channels, height, width = input.shape
    out_h, out_w = offset.shape[2:]
    taps = kernel[0] * kernel[1]
    rows = (
        torch.arange(out_h, dtype=offset.dtype, device=offset.device) * a.stride[0] - a.padding[0]
    )
    columns = (
        torch.arange(out_w, dtype=offset.dtype, device=offset.device) * a.stride[1] - a.padding[1]
    )
    tap_y = torch.arange(kernel[0], dtype=offset.dtype, device=offset.device) * a.dilation[0]
    tap_x = torch.arange(kernel[1], dtype=offset.dtype, device=offset.device) * a.dilation[1]
    shape = (*kernel, out_h, out_w)
    base_y = (rows[:, None] + tap_y[:, None, None, None]).expand(shape).reshape(-1, out_h, out_w)
    base_x = (columns + tap_x[:, None, None]).expand(shape).reshape(-1, out_h, out_w)
    pairs = offset.unflatten(1, (a.offset_groups, -1, 2))
    y = (base_y + pairs[:, :, :, 0]).flatten(1, 2)
    x = (base_x + pairs[:, :, :, 1]).flatten(1, 2)

    inside = (y > -1) & (y < height) & (x > -1) & (x < width)
    nan = y.isnan() | x.isnan()
    y0 = torch.where(inside, y, 0).detach().floor()
    x0 = torch.where(inside, x, 0).detach().floor()
    nowhere = torch.where(nan, y + x, 0)
    ly = torch.where(inside, y - y0, nowhere)
    lx = torch.where(inside, x - x0, nowhere)

    pixels = input.flatten(2)[:, :, None].expand(-1, -1, taps, -1)

    def corner(down: int, right: int) -> Tensor:
        row, column = y0.long() + down, x0.long() + right
        valid = inside & (row >= 0) & (row < height) & (column >= 0) & (column < width)
        index = torch.where(valid, row * width + column, 0)
        if height * width == 0:
            # Nothing to gather from: the empty sum is zero, and still knows that it came from `input`.
            return (
                input.flatten(2).sum(2)[:, :, None, None].expand(n, channels, taps, out_h * out_w)
            )
        value = pixels.gather(3, per_channel(index, a, channels))
        return torch.where(per_channel(valid, a, channels), value, 0)

    return Taps(
        (corner(0, 0), corner(0, 1), corner(1, 0), corner(1, 1)),
        per_channel(ly, a, channels),
        per_channel(lx, a, channels),
    )


def multiply(weight: Tensor, columns: Tensor, a: Attributes, size: tuple[int, int]) -> Tensor:
    """Convolves columns [N, C, K, P] with weight [O, C/groups, kh, kw]: [N, O, H', W']."""
    matrix = weight.flatten(1).unflatten(0, (a.groups, -1))
    grouped = columns.flatten(1, 2).unflatten(1, (a.groups, -1))
    return (matrix @ grouped).reshape(columns.shape[0], weight.shape[0], *size)


def forward(
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    a: Attributes,
) -> Tensor:
    """The operator, with the tensors of `torch.ops.dcnbuild.deform_conv2d`."""
    kernel = (weight.shape[2], weight.shape[3])
    dtype = torch.promote_types(input.dtype, torch.float32)
    columns = locate(input.to(dtype), offset.to(dtype), a, kernel).value()
    if mask is not None:
        columns = columns * per_channel(mask.to(dtype), a, input.shape[1])
    size = output_size(input.shape[2], input.shape[3], kernel, a)
    output = multiply(weight.to(dtype), columns, a, size)
    if bias is not None:
        output = output + bias.to(dtype)[:, None, None]
    return output.to(input.dtype)


def offset_tangent(
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    tangent: Tensor,
    a: Attributes,
) -> Tensor:
    """How the output moves when `offset` moves along `tangent` (forward-mode derivative), [N, O, H', W']."""
    kernel = (weight.shape[2], weight.shape[3])
    dtype = torch.promote_types(input.dtype, torch.float32)
    dy, dx = locate(input.to(dtype), offset.to(dtype), a, kernel).derivatives()
    pairs = tangent.to(dtype).unflatten(1, (-1, 2))
    channels = input.shape[1]
    columns = dy * per_channel(pairs[:, :, 0], a, channels) + dx * per_channel(
        pairs[:, :, 1], a, channels
    )
    if mask is not None:
        columns = columns * per_channel(mask.to(dtype), a, channels)
    return multiply(weight.to(dtype), columns, a, (tangent.shape[2], tangent.shape[3])).to(
        input.dtype
    )


def backward(
    grad_output: Tensor,
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    a: Attributes,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    """Gradients of input, offset, mask, weight and bias, by differentiating `forward`; differentiable itself."""
    bias = weight.new_zeros(weight.shape[0])
    if mask is None:
        pull = torch.func.vjp(
            lambda x, o, w, b: forward(x, o, None, w, b, a), input, offset, weight, bias
        )[1]
        grad_input, grad_offset, grad_weight, grad_bias = pull(grad_output)
        return grad_input, grad_offset, None, grad_weight, grad_bias
    pull = torch.func.vjp(
        lambda x, o, m, w, b: forward(x, o, m, w, b, a), input, offset, mask, weight, bias
    )[1]
    grads: tuple[Tensor, Tensor, Tensor, Tensor, Tensor] = pull(grad_output)
    return grads


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    mask: Tensor | None = None,
) -> Tensor:
    """`dcnbuild.deform_conv2d` in plain torch, on any device: same arguments, same results, any order of derivative."""
    attributes = parse(input, offset, weight, bias, stride, padding, dilation, mask)
    output = forward(input, offset, mask, weight, bias, attributes)
    return output.contiguous(memory_format=memory_format_of(input))


def memory_format_of(tensor: Tensor) -> torch.memory_format:
    """channels_last if [N, C, H, W] `tensor` is laid out so and not merely contiguous, else contiguous."""
    n, c, h, w = tensor.shape
    if c == 1 or (h == 1 and w == 1):
        return torch.contiguous_format
    dense = tensor.stride(1) == 1 and tensor.stride(3) == c and tensor.stride(2) == w * c
    if dense and (n <= 1 or tensor.stride(0) == h * w * c):
        return torch.channels_last
    return torch.contiguous_format
