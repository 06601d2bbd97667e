"""The sampling of DCNv3 and DCNv4 in plain torch: the oracle of the tests, and the fallback where nothing can be
compiled.

It is equation 3 of Wang et al., "InternImage" (2023), without its projections w_g, written to be read. It is slow, and
its memory grows with channels x taps x output positions. Every operation is differentiable any number of times.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dcnbuild.ops.reference.deform_conv2d import taps_at
from dcnbuild.ops.reference.derivatives import pull_back


class Attributes(NamedTuple):
    """The arguments of a call that are not tensors, in the schema's order; pairs are (y, x)."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    offset_scale: float
    remove_center: bool


# Functions, not methods: Dynamo traces no method of a named tuple up to torch 2.4.


def taps(a: Attributes) -> int:
    """Returns K, the number of samples of one position and group."""
    return a.kernel_size[0] * a.kernel_size[1] - int(a.remove_center)


def output_size(height: int, width: int, a: Attributes) -> tuple[int, int]:
    """Returns height and width of the output, in pixels; they may be zero or negative."""
    rows, columns = [
        (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, padding, dilation in zip((height, width), *a[:4])
    ]
    return rows, columns


def positions(offset: Tensor, a: Attributes) -> tuple[Tensor, Tensor]:
    """Returns y and x of every sample in pixels, [N, H', W', G, K]: the kernel's place + offset_scale * (tap + offset).

    A tap's position counts from the kernel's middle, which does not move with the scale. If the taps cover an even
    number of pixels, the middle is the pixel before the true middle. Taps go down the columns, one column after the
    other.
    """
    rows, columns = offset.shape[1:3]
    device, dtype = offset.device, offset.dtype
    middle_y, middle_x = (d * (k - 1) // 2 for d, k in zip(a.dilation, a.kernel_size))
    place_y = torch.arange(rows, device=device) * a.stride[0] - a.padding[0] + middle_y
    place_x = torch.arange(columns, device=device) * a.stride[1] - a.padding[1] + middle_x
    tap_y = torch.arange(a.kernel_size[0], device=device) * a.dilation[0] - middle_y
    tap_x = torch.arange(a.kernel_size[1], device=device) * a.dilation[1] - middle_x
    tap_x, tap_y = torch.meshgrid(tap_x, tap_y, indexing="ij")
    places = torch.stack([tap_x.flatten(), tap_y.flatten()], -1)
    if a.remove_center:
        centre = len(places) // 2
        places = torch.cat([places[:centre], places[centre + 1 :]])
    moved = (places.to(dtype) + offset) * a.offset_scale
    y = place_y.to(dtype)[:, None, None, None] + moved[..., 1]
    return y, place_x.to(dtype)[:, None, None] + moved[..., 0]


def forward(input: Tensor, offset: Tensor, mask: Tensor, a: Attributes) -> Tensor:
    """Computes the operator from the tensors of `torch.ops.dcnbuild.deform_sample`.

    Args:
        input: [N, H, W, G, D].
        offset: [N, H', W', G, K, 2] as x, y.
        mask: [N, H', W', G, K].
        a: the other arguments.

    Returns:
        [N, H', W', G · D] of the dtype of `input`.
    """
    n, rows, columns, groups, _ = mask.shape
    width = groups * input.shape[4]
    dtype = torch.promote_types(input.dtype, torch.float32)

    def of_images(t: Tensor) -> Tensor:
        """[N, H', W', G, K] → [N · G, 1, K, P]"""
        return t.flatten(1, 2).permute(0, 2, 3, 1).flatten(0, 1)[:, None]

    image = input.to(dtype).permute(0, 3, 4, 1, 2).flatten(0, 1)
    y, x = (of_images(t) for t in positions(offset.to(dtype), a))
    sampled = taps_at(image, y, x).columns(of_images(mask.to(dtype))).sum(2)
    output = sampled.unflatten(0, (n, groups)).permute(0, 3, 1, 2)
    return output.reshape(n, rows, columns, width).to(input.dtype)


def backward(
    grad_output: Tensor, input: Tensor, offset: Tensor, mask: Tensor, a: Attributes
) -> tuple[Tensor | None, ...]:
    """Returns the gradients of input, offset and mask, by differentiating `forward`; differentiable."""
    return pull_back(lambda i, o, m: forward(i, o, m, a), (input, offset, mask), grad_output)
