"""Tests the raw calls that dcnbuild expresses by its operators, against formulas in plain torch."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import dcnbuild
from dcnbuild.compat import deform_unfold_ext, deformable_aggregation_ext, geometric_kernel_attn_ext, mdconv_ext

SHAPES = ((4, 5), (2, 3))


def _expect(given: Sequence[Tensor], output: Tensor, leaves: Sequence[Tensor], upstream: Tensor) -> None:
    for ours, theirs in zip(given, torch.autograd.grad(output, leaves, upstream), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("points", [4, None])
def test_aggregation_over_cameras(points: int | None) -> None:
    torch.manual_seed(0)
    cameras, groups, channels = 2, 2, 8
    shape = torch.tensor([SHAPES] * cameras, dtype=torch.int32)
    start = torch.tensor([[0, 20], [26, 46]], dtype=torch.int32)
    extra = () if points is None else (points,)
    features = torch.randn(2, 52, channels, dtype=torch.double, requires_grad=True)
    # some lie between the border and half a pixel outside, where attention would still count them
    locations = (torch.rand(2, 3, *extra, cameras, 2).double() * 1.2 - 0.1).requires_grad_()
    weights = torch.rand(2, 3, *extra, cameras, 2, groups, dtype=torch.double, requires_grad=True)

    def plain() -> Tensor:
        places = locations if points else locations.unsqueeze(2)
        counted = weights if points else weights.unsqueeze(2)
        inside = ((places > 0) & (places < 1)).all(-1)[..., None, None]
        total = torch.zeros(2, 3, channels, dtype=torch.double)
        for camera in range(cameras):
            for scale, (height, width) in enumerate(SHAPES):
                first = int(start[camera, scale])
                image = features[:, first : first + height * width].transpose(1, 2).reshape(2, channels, height, width)
                sampled = F.grid_sample(image, 2 * places[:, :, :, camera] - 1, align_corners=False)
                share = (counted * inside)[:, :, :, camera, scale].repeat_interleave(channels // groups, -1)
                total = total + (sampled.permute(0, 2, 3, 1) * share).sum(2)
        return total

    leaves = (features, locations, weights)
    given = (features.detach(), shape, start, locations.detach(), weights.detach())
    expected = plain()
    torch.testing.assert_close(deformable_aggregation_ext.deformable_aggregation_forward(*given), expected.detach())
    upstream = torch.randn_like(expected)
    into = [torch.zeros_like(leaf) for leaf in leaves]
    deformable_aggregation_ext.deformable_aggregation_backward(*given, upstream, *into)
    _expect(into, expected, leaves, upstream)


def test_attention_at_whole_pixels() -> None:
    torch.manual_seed(0)
    shapes, starts = torch.tensor(SHAPES), torch.tensor([0, 20])
    value = torch.randn(2, 26, 2, 4, dtype=torch.double, requires_grad=True)
    pixels = torch.randint(-2, 8, (2, 5, 2, 2, 3, 2))  # those outside move to the border
    weights = torch.rand(2, 5, 2, 2, 3, dtype=torch.double, requires_grad=True)
    total = torch.zeros(2, 5, 2, 4, dtype=torch.double)
    for level, (height, width) in enumerate(SHAPES):
        x = pixels[:, :, :, level, :, 0].clamp(0, width - 1)
        y = pixels[:, :, :, level, :, 1].clamp(0, height - 1)
        index = (int(starts[level]) + y * width + x).transpose(1, 2)  # N M Q P
        for point in range(3):
            found = value.transpose(1, 2).gather(2, index[..., point, None].expand(-1, -1, -1, 4)).transpose(1, 2)
            total = total + found * weights[:, :, :, level, point, None]
    expected = total.flatten(2)
    given = (value.detach(), shapes, starts, pixels, weights.detach())
    ours = geometric_kernel_attn_ext.geometric_kernel_attn_cuda_forward(*given, 64)
    torch.testing.assert_close(ours, expected.detach())
    upstream = torch.randn_like(expected)
    grads = geometric_kernel_attn_ext.geometric_kernel_attn_cuda_backward(*given, upstream, 64)
    _expect(grads, expected, (value, weights), upstream)


def test_columns_of_a_deformable_convolution() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 7, 6, dtype=torch.double, requires_grad=True)
    offset = torch.randn(2, 2 * 2 * 6, 4, 3, dtype=torch.double, requires_grad=True)
    taps = torch.eye(24, dtype=torch.double).view(24, 4, 2, 3)
    expected = dcnbuild.reference.deform_conv2d(x, offset, taps, stride=2, padding=1, dilation=(2, 1)).flatten(2)
    numbers = (3, 2, 2, 2, 1, 1, 1, 2, 2, 64)  # x before y
    output, empty = x.new_empty(0), x.new_empty(0)
    assert deform_unfold_ext.deform_unfold_forward(x.detach(), offset.detach(), output, empty, *numbers) == 1
    torch.testing.assert_close(output, expected.detach())
    upstream = torch.randn_like(expected)
    into = [torch.zeros_like(x), torch.zeros_like(offset)]
    backward = deform_unfold_ext.deform_unfold_backward_input_cuda
    backward(x.detach(), offset.detach(), upstream, *into, empty, *numbers)
    _expect(into, expected, (x, offset), upstream)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_the_two_dimensional_calls_beside_three_dimensional_ones(masked: bool, with_bias: bool) -> None:
    torch.manual_seed(0)
    x, offset, mask, weight, bias = (
        torch.randn(size, dtype=torch.double, requires_grad=True)
        for size in ((2, 4, 6, 5), (2, 18, 6, 5), (2, 9, 6, 5), (6, 4, 3, 3), (6,))
    )
    expected = dcnbuild.reference.deform_conv2d(
        x, offset, weight, bias if with_bias else None, padding=1, mask=mask if masked else None
    )
    leaves = [x, weight, *([bias] if with_bias else []), offset, *([mask] if masked else [])]
    moved = (offset.detach(), mask.detach()) if masked else (offset.detach(),)
    given = (x.detach(), weight.detach(), bias.detach(), *moved)
    numbers = (3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 64, with_bias)
    name = "modulated_deform_conv2d" if masked else "deform_conv2d"
    output = x.new_empty(0)
    getattr(mdconv_ext, f"{name}_forward_cuda")(*given, output, *numbers)
    torch.testing.assert_close(output, expected.detach())
    upstream = torch.randn_like(expected)
    into = [torch.zeros_like(each) for each in (x, weight, bias, *moved)]
    getattr(mdconv_ext, f"{name}_backward_cuda")(*given, *into, upstream, *numbers)
    grads = into if with_bias else [*into[:2], *into[3:]]
    _expect(grads, expected, leaves, upstream)
    assert with_bias or not into[2].any()
