"""Automatic mixed precision: any mixture of dtypes, positions that stay exact, and the gradient scaler."""

from __future__ import annotations

import itertools

import pytest
import torch
from integration.features import needs, needs_autocast
from integration.models import Aligned, image
from torch import Tensor

import dcnbuild

HALF = [torch.float16, torch.bfloat16]
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", HALF, ids=["float16", "bfloat16"])
def test_no_mixture_raises(dtype: torch.dtype, device: str) -> None:
    """All 1024 mixtures of five tensors and four dtypes."""
    needs_autocast(device, dtype)
    tensors = (
        image(1, 2, 4, 3).to(device),
        image(1, 8, 3, 2, seed=2).to(device),
        image(2, 2, 2, 2, seed=3).to(device),
        image(2, seed=4).to(device),
        image(1, 4, 3, 2, seed=5).sigmoid().to(device),
    )
    # numbers that every one of the dtypes has
    tensors = tuple((t * 8).round() / 8 for t in tensors)
    exact = dcnbuild.deform_conv2d(*tensors[:4], mask=tensors[4])
    for dtypes in itertools.product(DTYPES, repeat=5):
        input, offset, weight, bias, mask = (t.to(d) for t, d in zip(tensors, dtypes))
        with torch.autocast(device, dtype):
            output = dcnbuild.deform_conv2d(input, offset, weight, bias, mask=mask)
        assert output.dtype == (torch.float64 if torch.float64 in dtypes else dtype), dtypes
        error = (output - exact).abs().max() / exact.abs().max()
        assert error < 2 * torch.finfo(dtype).eps, dtypes


@pytest.mark.parametrize("dtype", HALF, ids=["float16", "bfloat16"])
def test_no_mixture_raises_in_the_poolings(dtype: torch.dtype, device: str) -> None:
    needs_autocast(device, dtype)
    x = image(1, 4, 8, 8).to(device)
    rois = torch.tensor([[0, 1.0, 1.0, 6.0, 5.0]], device=device)
    offset = torch.full((1, 2, 2, 2), 0.5, device=device)
    exact = dcnbuild.deform_roi_pool(x, rois, offset, output_size=2, sampling_ratio=2)
    exact_ps = dcnbuild.deform_psroi_pool(x, rois, offset, spatial_scale=1.0, pooled_size=2)
    for dtypes in itertools.product(DTYPES, repeat=3):
        args = [t.to(d) for t, d in zip((x, rois, offset), dtypes)]
        with torch.autocast(device, dtype):
            output = dcnbuild.deform_roi_pool(*args, output_size=2, sampling_ratio=2)
            output_ps = dcnbuild.deform_psroi_pool(*args, spatial_scale=1.0, pooled_size=2)
        wanted = torch.float64 if torch.float64 in dtypes else dtype
        assert output.dtype == output_ps.dtype == wanted, dtypes
        assert (output - exact).abs().max() < 4 * torch.finfo(dtype).eps, dtypes
        assert (output_ps - exact_ps).abs().max() < 4 * torch.finfo(dtype).eps, dtypes


@pytest.mark.parametrize("dtype", HALF, ids=["float16", "bfloat16"])
def test_why_offsets_stay_float32(dtype: torch.dtype, device: str) -> None:
    """An offset of 40.25 loses its quarter pixel in half precision: half a step beyond 32 is 1/64 in float16, 1/8 in
    bfloat16.

    The image is a ramp, so that the output is the position itself (in sixty-fourths, which both types hold).
    """
    needs_autocast(device, dtype)
    ramp = (torch.arange(64.0, device=device) / 64).expand(1, 1, 1, 64)
    offset = torch.zeros(1, 2, 1, 64, device=device)
    offset[0, 1] = 40.1875  # along x
    one = torch.ones(1, 1, 1, 1, device=device)
    with torch.autocast(device, dtype):
        output = dcnbuild.deform_conv2d(ramp, offset, one)[0, 0, 0, :8].double()
    position = torch.arange(8.0, dtype=torch.float64, device=device) + 40.1875
    assert (output * 64 - position).abs().max() <= 64 * torch.finfo(dtype).eps / 2
    if dtype == torch.bfloat16:
        # what rounding the offset first would have given: 40.25, all of it off by a sixteenth
        assert offset.bfloat16()[0, 1, 0, 0].item() == 40.25


@needs("torch.amp.GradScaler")
def test_gradient_scaler_skips_an_overflow_and_then_trains(device: str) -> None:
    model, x = Aligned().to(device), image(2, 3, 9, 8).to(device)
    target = image(2, 2, 9, 8, seed=2).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler(device, init_scale=2.0**40)
    losses, scales = [], []
    for _ in range(40):
        optimizer.zero_grad()
        with torch.autocast(device, torch.float16):
            loss = (model(x).float() - target).square().mean()
        before = copy_of(model)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        skipped = all(torch.equal(a, b) for a, b in zip(before, model.parameters()))
        assert skipped == (scaler.update() or scaler.get_scale() < (scales or [2.0**40])[-1])
        scales.append(scaler.get_scale())
        losses.append(loss.item())
    assert scales[0] == 2.0**39 and scales[-1] == scales[-2] < 2.0**39
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.isfinite(p).all() and p.dtype == torch.float32 for p in model.parameters())


def copy_of(model: torch.nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]
