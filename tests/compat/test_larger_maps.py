"""Tests offsets and masks that are larger than the output, which old extensions read from the beginning of their
memory.
"""

from __future__ import annotations

import warnings

import pytest
import torch

import dcnbuild
from dcnbuild.compat import dcn_v2, mmdet


def test_larger_maps_are_read_as_they_lie_in_memory() -> None:
    """DyHead hands a level's offsets, a slice of a larger tensor, to the next smaller level."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    both = torch.randn(2, 27, 8, 9, dtype=torch.float64, requires_grad=True)
    module = mmdet.ModulatedDeformConv(3, 5, 3, padding=1).double()
    with (
        pytest.warns(UserWarning, match=r"offset has shape \(2, 18, 8, 9\), expected \(2, 18, 4, 4\)"),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "mask has shape")
        actual = module(x, both[:, :18], both[:, 18:].sigmoid())
    offset = torch.stack([image[:18].reshape(-1)[: 18 * 16].view(18, 4, 4) for image in both])
    mask = torch.stack([image[18:].reshape(-1)[: 9 * 16].view(9, 4, 4) for image in both]).sigmoid()
    expected = dcnbuild.deform_conv2d(x, offset, module.weight, module.bias, padding=1, mask=mask)
    assert torch.equal(actual, expected)
    grads = [torch.autograd.grad(out.sum(), both)[0] for out in (actual, expected)]
    assert torch.equal(*grads)
    with pytest.raises(ValueError, match="offset has shape"), warnings.catch_warnings():
        warnings.simplefilter("error")  # a map that is smaller in one direction is no larger one
        module(x, both[:, :18, :, :3], both[:, 18:, :, :3].sigmoid())
    with pytest.raises(ValueError, match="offset has shape"):  # mmcv's v1 checks it
        mmdet.DeformConv(3, 5, 3, padding=1).double()(x, both[:, :18])


def test_larger_maps_compile_to_one_graph() -> None:
    module = mmdet.ModulatedDeformConv(3, 5, 3, padding=1)
    arguments = (torch.randn(1, 3, 4, 4), torch.randn(1, 18, 6, 5), torch.rand(1, 9, 6, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = module(*arguments)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    assert torch.equal(compiled(*arguments), expected)


def test_offsets_for_more_rois_are_read_from_the_beginning() -> None:
    """DCNv2's test script has offsets for 20 RoIs, and two of them."""
    torch.manual_seed(0)
    x, rois = torch.randn(2, 4, 9, 9), torch.tensor([[0.0, 1, 1, 6, 7], [1, 0, 2, 5, 8]])
    pool = dcn_v2.DCNv2Pooling(1.0, 3, 4, False, trans_std=0.1)
    offset = torch.randn(20, 2, 3, 3)
    with pytest.warns(UserWarning, match=r"offset has shape \(20, 2, 3, 3\), expected \(2, 2, 3, 3\)"):
        actual = pool(x, rois, offset)
    assert torch.equal(actual, pool(x, rois, offset[:2]))
    with pytest.warns(UserWarning, match="first values are read"):
        larger = torch.randn(2, 2, 4, 4)
        actual = pool(x, rois, larger)
    assert torch.equal(actual, pool(x, rois, larger.flatten()[:36].view(2, 2, 3, 3)))
    with pytest.raises(ValueError, match="trans has shape"):
        pool(x, rois, offset[:1])
