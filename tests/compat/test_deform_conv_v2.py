"""The module of pytorch-deform-conv-v2 on our operators: the original's numbers and gradients, border included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import dcnbuild
from dcnbuild.compat.deform_conv_v2 import DeformConv2d


def _original(module: DeformConv2d, x: Tensor) -> Tensor:
    """The original's formula: four corners of clamped positions, weighted by their distance along each axis."""
    kernel, pad, stride = module.kernel_size, module.padding, module.stride
    offset = module.p_conv(x)
    padded = nn.functional.pad(x, (pad, pad, pad, pad))
    height, width = padded.shape[2:]
    rows, columns = offset.shape[2:]
    start = -(kernel - 1) // 2
    ky, kx = torch.meshgrid(*(torch.arange(start, start + kernel),) * 2, indexing="ij")
    oy, ox = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    axes = []
    for taps, pixels, size, move in (
        (ky, oy, height, offset[:, : kernel**2]),
        (kx, ox, width, offset[:, kernel**2 :]),
    ):
        p = 1 + pixels * stride + taps.reshape(-1, 1, 1) + move
        low = p.detach().floor()
        outside = (p < pad) | (p > size - 1 - pad)
        p = torch.where(outside, low, p).clamp(0, size - 1)
        corners = [c.clamp(0, size - 1) for c in (low, low + 1)]
        axes.append([(corners[0], 1 + corners[0] - p), (corners[1], 1 - corners[1] + p)])
    image = torch.arange(len(x)).view(-1, 1, 1, 1)
    sampled = sum(
        gy * gx * padded[image, :, y.long(), x_.long()].movedim(-1, 0) for y, gy in axes[0] for x_, gx in axes[1]
    )
    if module.modulation:
        sampled = sampled * torch.sigmoid(module.m_conv(x))
    out = torch.einsum("cnkhw,ock->nohw", sampled, module.conv.weight.flatten(2))
    return out if module.conv.bias is None else out + module.conv.bias.view(-1, 1, 1)


@pytest.mark.parametrize("modulation", [False, True])
@pytest.mark.parametrize(("kernel", "padding", "stride"), [(3, 1, 1), (3, 1, 2), (5, 2, 1), (5, 1, 3)])
def test_it_computes_what_the_original_does(kernel: int, padding: int, stride: int, modulation: bool) -> None:
    torch.manual_seed(0)
    module = DeformConv2d(3, 4, kernel, padding, stride, modulation, modulation).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.6)  # offsets far beyond the border too
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64, requires_grad=True)
    expected, actual = _original(module, x), module(x)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    leaves = [x, *module.parameters()]
    upstream = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, leaves, upstream)
    for grad, other in zip(torch.autograd.grad(actual, leaves, upstream), wanted):
        torch.testing.assert_close(grad, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("kernel", "padding"), [(3, 0), (3, 2), (1, 0)])
def test_other_paddings_are_refused(kernel: int, padding: int) -> None:
    with pytest.raises(ValueError, match=f"padding={padding} with kernel_size={kernel}"):
        DeformConv2d(3, 4, kernel, padding)


class _Original(nn.Module):
    """The attributes of the first version, which knows no stride."""

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.kernel_size, self.padding, self.modulation = 3, padding, True
        self.zero_padding = nn.ZeroPad2d(padding)
        self.conv = nn.Conv2d(2, 4, 3, stride=3, bias=False)
        self.p_conv, self.m_conv = nn.Conv2d(2, 18, 3, padding=1), nn.Conv2d(2, 9, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


def test_it_is_converted_where_the_numbers_stay() -> None:
    _Original.__name__, _Original.__module__ = "DeformConv2d", "models.deform_conv_v2"
    model = nn.ModuleList([_Original(1), _Original(0)])
    report = dcnbuild.convert(model)
    assert [done.path for done in report.converted] == ["0"]
    assert "padding=0" in report.left[0].reason
    module, x = model[0], torch.randn(1, 2, 5, 6)
    module.stride = 1
    torch.testing.assert_close(module(x), _original(module, x), rtol=1e-4, atol=1e-5)
