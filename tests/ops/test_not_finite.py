"""Tests NaN and infinities: the rules of docs/pytorch.md, for the kernels and the reference."""

from __future__ import annotations

import math

import pytest
import torch
from ops.cases import Case
from ops.not_finite_cases import REFERENCE, SETS, SHAPES, assert_same, results_of, wild_call

from dcnbuild.ops.reference.deform_conv2d import Attributes, offset_tangent

ROUTES = {"kernels": torch.ops.dcnbuild, "reference": REFERENCE}


@pytest.mark.parametrize("wild", SETS, ids="+".join)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_kernels_and_reference_agree(dtype: torch.dtype, wild: tuple[str, ...]) -> None:
    seen = 0
    for number, case in enumerate(SHAPES):
        for seed in range(4):
            tensors = wild_call(case, wild, seed, dtype)
            expected = results_of(REFERENCE, case, tensors)
            actual = results_of(torch.ops.dcnbuild, case, tensors)
            tolerance = 1e-11 if dtype == torch.float64 else 1e-5
            assert_same(actual, expected, tolerance, (number, seed))
            seen += sum(int((~t.isfinite()).sum()) for t in expected.values())
    assert seen > 0


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("argument", ["weight", "grad_output", "mask", "input"])
def test_a_sample_outside_passes_nothing_on(argument: str, value: float, route: str) -> None:
    case = Case(channels=10, out_channels=3, size=(4, 4))
    tensors = wild_call(case, (), 0, torch.float64)
    tensors["offset"][:, :, 1, 2] = torch.tensor([-50.0, 50.0, -1e30, math.inf] * 4 + [9.0, -9.0])
    tensors[argument][...] = value
    result = results_of(ROUTES[route], case, tensors)
    assert (result["grad_offset"][:, :, 1, 2] == 0).all()
    assert (result["grad_mask"][:, :, 1, 2] == 0).all()
    assert not result["grad_offset"].isfinite().all(), "or the others would say nothing"


@pytest.mark.parametrize("route", ROUTES)
def test_an_infinite_mask(route: str) -> None:
    """The mask multiplies the bilinear weights: on a pixel three of them are zero, and zero times infinity is NaN."""
    case = Case(batch=1, channels=1, out_channels=1, size=(1, 5), kernel=(1, 1), padding=(0, 0))
    tensors = wild_call(case, (), 0, torch.float64)
    tensors["input"] = torch.tensor([[[[1.0, 2.0, 3.0, 0.0, 0.0]]]], dtype=torch.float64)
    tensors["offset"] = torch.zeros(1, 2, 1, 5, dtype=torch.float64)
    tensors["offset"][0, :, 0, 1] = 0.5
    tensors["offset"][0, :, 0, 2] = 50.0
    tensors["mask"] = torch.full((1, 1, 1, 5), math.inf, dtype=torch.float64)
    tensors["weight"] = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    tensors["bias"] = torch.zeros(1, dtype=torch.float64)
    output = results_of(ROUTES[route], case, tensors)["output"].flatten()
    assert output.isnan().all()  # on a pixel; half a row below the image, where two pixels are zero; outside
    tall = {**tensors, "input": tensors["input"].repeat(1, 1, 2, 1)}
    for name in ("offset", "mask"):
        tall[name] = tensors[name].repeat(1, 1, 2, 1)
    output = results_of(ROUTES[route], Case(**{**vars(case), "size": (2, 5)}), {
        **tall, "grad_output": torch.ones(1, 1, 2, 5, dtype=torch.float64)})["output"]  # fmt: skip
    assert output[0, 0, 0, 1] == math.inf  # between four pixels that are not zero


def test_forward_mode_agrees() -> None:
    """A sample outside does not move with its offset, not even along a direction that is not finite."""
    case = Case(channels=4, size=(4, 4))
    t = wild_call(case, (), 0, torch.float64)
    t["offset"][:, :, 1, 2] = 50.0
    tangent = torch.ones_like(t["offset"])
    tangent[:, :, 1, 2] = math.nan
    attributes = Attributes(case.stride, case.padding, case.dilation, 1, 1)
    moved = offset_tangent(tangent, t["input"], t["offset"], t["mask"], t["weight"], None, attributes)
    assert moved.isfinite().all() and (moved[:, :, 1, 2] == 0).all()
