"""The raw pooling calls of the old extensions."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from compat.pooling_inputs import image_and_rois
from ops.pooling_cases import naive_psroi_pool

import dcnbuild
from dcnbuild.compat import (
    dcn_v2,
    dcn_v2_ext,
    deform_conv_ext,
    deform_pool_ext,
    larger_ext,
    mmcv,
)


@pytest.mark.parametrize("no_trans", [0, 1])
def test_raw_psroi_calls(no_trans: int) -> None:
    x, rois = image_and_rois()
    trans = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    attributes = (no_trans, 1.0, 4, 1, 3, 3, 2, 0.1)
    output, counts = dcn_v2_ext.dcn_v2_psroi_pooling_forward(x, rois, trans, *attributes)
    moved = None if no_trans else trans
    expected = naive_psroi_pool(x, rois, moved, 1.0, 1, 3, 3, 2, 0.1)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    # Pooled ones are one wherever something is counted, and nowhere else.
    ones = naive_psroi_pool(torch.ones_like(x), rois, moved, 1.0, 1, 3, 3, 2, 0.1)
    assert counts.shape == output.shape and torch.equal(counts > 0, ones > 0.5)
    assert counts.max() == 4 and counts.min() < 4
    upstream = torch.randn_like(output)
    grads = dcn_v2_ext.dcn_v2_psroi_pooling_backward(upstream, x, rois, trans, counts, *attributes)
    leaves = [x.clone().requires_grad_(), trans.clone().requires_grad_()]
    again = dcnbuild.deform_psroi_pool(
        leaves[0], rois, None if no_trans else leaves[1],
        spatial_scale=1.0, pooled_size=3, sample_per_part=2, trans_std=0.1,
    )  # fmt: skip
    wanted = torch.autograd.grad(again, leaves, upstream, allow_unused=True, materialize_grads=True)
    assert all(torch.equal(grad, other) for grad, other in zip(grads, wanted))


def test_raw_pooling_calls_of_mmdetection() -> None:
    """Results are written, gradients are added; offsets for more RoIs get zeros behind those that were read."""
    x, rois = image_and_rois()
    trans = torch.randn(5, 2, 3, 3, dtype=torch.float64)
    attributes = (0, 1.0, 4, 1, 3, 3, 2, 0.1)
    leaves = [x.clone().requires_grad_(), trans.clone().requires_grad_()]
    expected = dcnbuild.deform_psroi_pool(
        leaves[0], rois, leaves[1][:3],
        spatial_scale=1.0, pooled_size=3, sample_per_part=2, trans_std=0.1,
    )  # fmt: skip
    upstream = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, leaves, upstream)
    out, counts = x.new_empty(0), x.new_empty(0)
    with pytest.warns(UserWarning, match="trans has shape"):
        deform_pool_ext.deform_psroi_pooling_cuda_forward(x, rois, trans, out, counts, *attributes)
        grads = [torch.ones_like(x), torch.ones_like(trans)]
        deform_pool_ext.deform_psroi_pooling_cuda_backward(upstream, x, rois, trans, counts, *grads, *attributes)
    torch.testing.assert_close(out, expected.detach(), rtol=0, atol=1e-12)
    assert counts.shape == out.shape
    for total, grad in zip(grads, wanted):
        torch.testing.assert_close(total, grad + 1, rtol=0, atol=1e-10)


def test_raw_pooling_calls_of_mmcv() -> None:
    x, rois = image_and_rois()
    sizes = {
        "pooled_height": 3,
        "pooled_width": 2,
        "spatial_scale": 0.5,
        "sampling_ratio": 2,
        "gamma": 0.2,
    }
    for offset in (torch.randn(3, 2, 3, 2, dtype=torch.float64), x.new_zeros(0)):
        leaves = [x.clone().requires_grad_(), offset.clone().requires_grad_()]
        given = leaves[1] if offset.numel() else None
        expected = mmcv.deform_roi_pool(leaves[0], rois, given, (3, 2), 0.5, 2, 0.2)
        upstream = torch.randn_like(expected)
        wanted = torch.autograd.grad(expected, leaves, upstream, allow_unused=True, materialize_grads=True)
        out = x.new_empty(0)
        larger_ext.deform_roi_pool_forward(x, rois, offset, out, **sizes)
        grads = [torch.zeros_like(x), torch.zeros_like(offset)]
        larger_ext.deform_roi_pool_backward(upstream, x, rois, offset, *grads, **sizes)
        assert torch.equal(out, expected.detach())
        assert all(torch.equal(grad, other) for grad, other in zip(grads, wanted))


def test_raw_calls_with_larger_maps() -> None:
    """Larger maps get the gradient of the values that were read, and zeros behind them, in each image."""
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 3, 4, 5), torch.randn(6, 3, 3, 3), torch.randn(6)
    offset, mask = torch.randn(2, 18, 6, 6), torch.rand(2, 9, 6, 6)
    leaves = [t.clone().requires_grad_() for t in (x, offset, mask, weight, bias)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = dcn_v2.dcn_v2_conv(*leaves, 1, 1, 1, 1)
        upstream = torch.randn_like(expected)
        wanted = torch.autograd.grad(expected, leaves, upstream)
        v2 = (3, 3, 1, 1, 1, 1, 1, 1)
        output = dcn_v2_ext.dcn_v2_forward(x, weight, bias, offset, mask, *v2, 1)
        grads = dcn_v2_ext.dcn_v2_backward(x, weight, bias, offset, mask, upstream, *v2, 1)
        into, buffer = x.new_empty(0), x.new_empty(0)
        deform_conv_ext.modulated_deform_conv_forward(
            x, weight, bias, buffer, offset, mask, into, buffer, *v2, 1, 1, True
        )
        sums = [torch.zeros_like(t) for t in (x, offset, mask, weight, bias)]
        deform_conv_ext.modulated_deform_conv_backward(
            x, weight, bias, buffer, offset, mask, buffer,
            sums[0], sums[3], sums[4], sums[1], sums[2], upstream, *v2, 1, 1, True,
        )  # fmt: skip
    assert torch.equal(output, expected.detach()) and torch.equal(into, output)
    assert not wanted[1][:, -1, -1, -1].any() and wanted[1].any()
    for other in (grads, sums):
        assert all(torch.equal(grad, right) for grad, right in zip(other, wanted))


def test_raw_convolution_calls() -> None:
    """Unequal strides, paddings and dilations: no two numbers may change places."""
    torch.manual_seed(0)
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    weight, bias = (torch.randn(*shape, dtype=torch.float64) for shape in ((6, 4, 3, 2), (6,)))
    offset = torch.randn(2, 12, 6, 8, dtype=torch.float64)
    mask = torch.rand(2, 6, 6, 8, dtype=torch.float64)
    geometry: dict[str, Any] = {"stride": (2, 1), "padding": (2, 1), "dilation": (1, 2)}
    leaves = [t.requires_grad_() for t in (x, offset, mask, weight, bias)]
    expected = dcnbuild.reference.deform_conv2d(x, offset, weight, bias, **geometry, mask=mask)
    upstream = torch.randn_like(expected)
    grads = torch.autograd.grad(expected, leaves, upstream)
    v2 = (3, 2, 2, 1, 2, 1, 1, 2)
    close: dict[str, Any] = {"rtol": 0, "atol": 1e-11}

    output = dcn_v2_ext.dcn_v2_forward(x, weight, bias, offset, mask, *v2, 1)
    torch.testing.assert_close(output, expected.detach(), **close)
    for grad, wanted in zip(dcn_v2_ext.dcn_v2_backward(x, weight, bias, offset, mask, upstream, *v2, 1), grads):
        torch.testing.assert_close(grad, wanted, **close)
    with pytest.raises(ValueError, match="kernel"):
        dcn_v2_ext.dcn_v2_forward(x, weight, bias, offset, mask, 2, 3, *v2[2:], 1)

    buffer, into = x.new_empty(0), x.new_empty(0)
    deform_conv_ext.modulated_deform_conv_forward(x, weight, bias, buffer, offset, mask, into, buffer, *v2, 1, 1, True)
    torch.testing.assert_close(into, expected.detach(), **close)
    sums = [torch.ones_like(t, requires_grad=False) for t in leaves]
    deform_conv_ext.modulated_deform_conv_backward(
        x, weight, bias, buffer, offset, mask, buffer,
        sums[0], sums[3], sums[4], sums[1], sums[2], upstream, *v2, 1, 1, True,
    )  # fmt: skip
    for index, (total, wanted) in enumerate(zip(sums, grads)):
        # Those of weight and bias are added to what is there.
        torch.testing.assert_close(total, wanted + (1 if index > 2 else 0), **close)

    v1 = (2, 3, 1, 2, 1, 2, 2, 1)  # x before y
    plain = dcnbuild.reference.deform_conv2d(x, offset, weight, **geometry)
    grads = torch.autograd.grad(plain, [x, offset, weight], upstream)
    deform_conv_ext.deform_conv_forward(x, weight, offset, into, buffer, buffer, *v1, 1, 1, 2)
    torch.testing.assert_close(into, plain.detach(), **close)
    grad_input, grad_offset, grad_weight = (torch.zeros_like(t) for t in (x, offset, weight))
    deform_conv_ext.deform_conv_backward_input(
        x, offset, upstream, grad_input, grad_offset, weight, buffer, *v1, 1, 1, 2
    )
    deform_conv_ext.deform_conv_backward_parameters(x, offset, upstream, grad_weight, buffer, buffer, *v1, 1, 1, 0.5, 2)
    torch.testing.assert_close(grad_input, grads[0], **close)
    torch.testing.assert_close(grad_offset, grads[1], **close)
    torch.testing.assert_close(grad_weight, grads[2] * 0.5, **close)
