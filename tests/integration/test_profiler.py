"""Tests the names that a profiler shows, and the operations that a FLOP counter counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from integration.features import needs
from integration.models import image
from torch import nn

import dcnbuild


def names_in_profile(step: object) -> set[str]:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        step()  # type: ignore[operator]
    return {event.key for event in profile.key_averages()}


def test_deform_conv2d_is_found_in_a_profile() -> None:
    layer = dcnbuild.DeformConv2d(2, 2, 3, padding=1)
    x, offset = image(1, 2, 5, 4), image(1, 18, 5, 4)
    names = names_in_profile(lambda: layer(x, offset).sum().backward())
    assert {
        "dcnbuild::deform_conv2d",
        "dcnbuild::deform_conv2d_backward",
        "DeformConv2dFunction",
        "DeformConv2dFunctionBackward",
    } <= names


@pytest.mark.parametrize("name", ["deform_psroi_pool", "deform_roi_pool"])
def test_poolings_are_told_apart_in_a_profile(name: str) -> None:
    options = {
        "deform_psroi_pool": {"spatial_scale": 1.0, "pooled_size": 2},
        "deform_roi_pool": {"output_size": 2},
    }[name]
    x, rois = image(1, 2, 5, 5).requires_grad_(), torch.tensor([[0, 0.0, 0.0, 4.0, 4.0]])
    pool = getattr(dcnbuild, name)
    names = names_in_profile(lambda: pool(x, rois, **options).sum().backward())
    stem = "".join(word.title() for word in name.split("_"))
    assert {f"dcnbuild::{name}", f"dcnbuild::{name}_backward"} <= names
    assert {f"{stem}Function", f"{stem}FunctionBackward"} <= names


def counted(step: object) -> dict[str, int]:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()  # type: ignore[operator]
    return {str(k): v for k, v in counter.get_flop_counts()["Global"].items()}


@needs("flop formulas")
def test_flops_are_those_of_the_convolution_of_the_same_shape() -> None:
    arguments = (4, 6, (3, 2), (2, 1), (1, 0))
    layer, plain = dcnbuild.DeformConv2d(*arguments), nn.Conv2d(*arguments)
    x = image(2, 4, 9, 8).requires_grad_()
    offset = image(2, 12, *plain(x).shape[2:])
    ours = counted(lambda: layer(x, offset).sum().backward())
    theirs = counted(lambda: plain(x).sum().backward())
    assert ours["dcnbuild.deform_conv2d"] == theirs["aten.convolution"] == 2 * 6 * 24 * 2 * 5 * 7
    assert ours["dcnbuild.deform_conv2d_backward"] == theirs["aten.convolution_backward"]


@needs("flop formulas")
def test_flops_of_groups_and_of_half_a_backward() -> None:
    layer = dcnbuild.DeformConv2d(4, 6, 3, padding=1, groups=2)
    x, offset = image(2, 4, 9, 8), image(2, 18, 9, 8)
    forward = 2 * 6 * (2 * 9) * 2 * 9 * 8
    ours = counted(lambda: layer(x, offset).sum().backward())  # of the weight alone
    assert ours == {
        "dcnbuild.deform_conv2d": forward,
        "dcnbuild.deform_conv2d_backward": forward,
    }
    offset.requires_grad_()
    ours = counted(lambda: layer(x, offset).sum().backward())
    assert ours["dcnbuild.deform_conv2d_backward"] == 2 * forward


class Counted(nn.Module):
    """A convolution that predicts offsets, and a layer of ours that is given them; 626,688 multiply-accumulates."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Conv2d(8, 18, 3, padding=1, bias=False)
        self.layer = dcnbuild.DeformConv2d(8, 16, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x, self.offset(x))


EXPECTED = 18 * 72 * 16 * 16 + 16 * 72 * 16 * 16


def by_thop(model: nn.Module, x: torch.Tensor) -> float:
    thop = pytest.importorskip("thop", reason="thop is not installed")
    return float(thop.profile(model, (x,), verbose=False)[0])


def by_ptflops(model: nn.Module, x: torch.Tensor, backend: str = "pytorch") -> float:
    ptflops = pytest.importorskip("ptflops", reason="ptflops is not installed")
    quiet = {"as_strings": False, "print_per_layer_stat": False, "verbose": False}
    count = ptflops.get_model_complexity_info
    return float(count(model, tuple(x.shape[1:]), backend=backend, **quiet)[0])


def by_ptflops_aten(model: nn.Module, x: torch.Tensor) -> float:
    return by_ptflops(model, x, "aten")


def by_fvcore(model: nn.Module, x: torch.Tensor) -> float:
    nn_of_fvcore = pytest.importorskip("fvcore.nn", reason="fvcore is not installed")
    analysis = nn_of_fvcore.FlopCountAnalysis(model, x).unsupported_ops_warnings(False)
    return float(analysis.total())


def by_mmengine(model: nn.Module, x: torch.Tensor) -> float:
    analysis = pytest.importorskip("mmengine.analysis", reason="mmengine is not installed")
    return float(analysis.get_model_complexity_info(model, None, x)["flops"])


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize(
    "count",
    [by_thop, by_ptflops, by_ptflops_aten, by_fvcore, by_mmengine],
    ids=lambda f: f.__name__,
)
def test_other_counters(count: Callable[[nn.Module, torch.Tensor], float]) -> None:
    x = image(1, 8, 16, 16)
    assert count(Counted(), x) == pytest.approx(EXPECTED, rel=0.02)  # ptflops counts a ReLU and the like
    both = nn.Sequential(dcnbuild.DCN(8, 16, 3, padding=1, bias=False, modulated=False))
    assert count(both, x) == pytest.approx(EXPECTED, rel=0.02)
