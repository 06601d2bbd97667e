"""The Python module `deform_conv_v2` of 4uiiurz1/pytorch-deform-conv-v2, on dcnbuild's operators."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcnbuild.ops.deform_conv2d import deform_conv2d

__all__ = ["DeformConv2d"]


class DeformConv2d(nn.Module):
    """Deformable convolution that predicts its offset with `p_conv`, and with modulation a mask with `m_conv`.

    Like the original, it differs from the other packages in three ways. The first half of the offset's channels are all
    y, the second half all x. A sample between the image and the zeros around it is not interpolated, but rounded down
    to a pixel. And taps lie around the output's pixel, for any padding.

    Args:
        inc, outc: channels of input and output.
        kernel_size, padding, stride: one number each, in pixels; padding from 1 to (kernel_size − 1) / 2.
        bias: whether `conv` has a bias.
        modulation: whether to predict a mask.

    Raises ValueError for a padding outside that range: without padding, the original counts pixels at the border twice.
    """

    def __init__(
        self,
        inc: int,
        outc: int,
        kernel_size: int = 3,
        padding: int = 1,
        stride: int = 1,
        bias: bool | None = None,
        modulation: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding, self.stride = kernel_size, padding, stride
        self.modulation = modulation
        self.zero_padding = nn.ZeroPad2d(padding)
        self.conv = nn.Conv2d(inc, outc, kernel_size, stride=kernel_size, bias=bool(bias))
        taps = kernel_size**2
        self.p_conv = nn.Conv2d(inc, 2 * taps, 3, padding=1, stride=stride)
        nn.init.zeros_(self.p_conv.weight)
        if modulation:
            self.m_conv = nn.Conv2d(inc, taps, 3, padding=1, stride=stride)
            nn.init.zeros_(self.m_conv.weight)
        reason = self.why_not()
        if reason is not None:
            raise ValueError(f"deform_conv_v2: {reason}")

    def why_not(self) -> str | None:
        """Says why the operator cannot compute these sizes; None if it can."""
        if not 1 <= self.padding <= (self.kernel_size - 1) // 2:
            return (
                f"padding={self.padding} with kernel_size={self.kernel_size}: from 1 to "
                f"{(self.kernel_size - 1) // 2} is supported"
            )
        return None

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → [N, O, H', W'], where H' and W' are H and W divided by the stride, rounded up."""
        offset = self.p_conv(x)
        mask = torch.sigmoid(self.m_conv(x)) if self.modulation else None
        stride: int = getattr(self, "stride", 1)  # the package's first versions have no stride
        rows, columns = offset.shape[2:]
        kernel = self.kernel_size
        height, width = (size + 2 * self.padding for size in x.shape[2:])
        y, x_ = offset.unflatten(1, (2, -1)).unbind(1)
        y = self._moved(y, rows, height, stride, vertical=True)
        x_ = self._moved(x_, columns, width, stride, vertical=False)
        # Zeros below and to the right until the output has the offset's size; no sample reaches them.
        down, right = (
            max((count - 1) * stride + kernel - size, 0) for count, size in ((rows, height), (columns, width))
        )
        left = self.padding
        padded = F.pad(x, (left, left + right, left, left + down))
        interleaved = torch.stack((y, x_), 2).flatten(1, 2)
        return deform_conv2d(padded, interleaved, self.conv.weight, self.conv.bias, stride=stride, mask=mask)

    def _moved(self, move: Tensor, count: int, size: int, stride: int, vertical: bool) -> Tensor:
        """Returns the offsets [N, K, H', W'] of one axis from our kernel's taps, in pixels, for a padded image of
        `size`.
        """
        kernel, pad = self.kernel_size, self.padding
        tap = torch.arange(kernel, device=move.device, dtype=move.dtype)
        tap = tap.repeat_interleave(kernel) if vertical else tap.repeat(kernel)
        pixel = torch.arange(count, device=move.device, dtype=move.dtype) * stride
        base = tap.view(-1, 1, 1) + pixel.view((1, -1, 1) if vertical else (1, 1, -1))
        start = 1 + -(kernel - 1) // 2  # the original's first tap, from its first pixel
        position = base + start + move
        outside = (position < pad) | (position > size - 1 - pad)
        position = torch.where(outside, position.detach().floor(), position)
        return position.clamp(0, size - 1) - base
