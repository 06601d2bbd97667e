"""Tests NaN and infinities in deform_attn: the rules of docs/pytorch.md, for the kernels and the reference."""

from __future__ import annotations

import math

import pytest
import torch
from ops.attention_cases import REFERENCE, AttnCase, results_of
from ops.not_finite_cases import assert_same
from torch import Tensor

ROUTES = {"kernels": torch.ops.dcnbuild, "reference": REFERENCE}
#: Whole vectors of channels and parts of one; queries enough for strided values to be copied, and too few.
SHAPES = (
    AttnCase(1, 2, 11, 9, 4, ((3, 4), (1, 1))),
    AttnCase(2, 1, 3, 2, 1, ((4, 3),)),
    AttnCase(1, 1, 32, 4, 3, ((2, 2), (5, 1))),
)
WILD = {
    "value": (math.nan, math.inf, -math.inf),
    "sampling_locations": (math.nan, math.inf, -math.inf, 1e30, -1e30, 4.0, -3.0),
    "attention_weights": (math.nan, math.inf, -math.inf, 0.0),
    "grad_output": (math.nan, math.inf, -math.inf),
}


def wild_call(case: AttnCase, wild: tuple[str, ...], seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Tensors of a call with one value in six of each of `wild` replaced."""
    generator = torch.Generator().manual_seed(seed)
    tensors = case.tensors(seed, dtype)
    for name in wild:
        values = torch.tensor(WILD[name], dtype=dtype)
        choice = torch.randint(0, 6 * len(values), tensors[name].shape, generator=generator)
        tensors[name] = torch.where(choice < len(values), values[choice.clamp_max(len(values) - 1)], tensors[name])
    return tensors


@pytest.mark.parametrize("strided", [False, True], ids=["dense", "strided"])
@pytest.mark.parametrize("wild", [*((name,) for name in WILD), tuple(WILD)], ids="+".join)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_kernels_and_reference_agree(dtype: torch.dtype, wild: tuple[str, ...], strided: bool) -> None:
    seen = 0
    for number, case in enumerate(SHAPES):
        for seed in range(4):
            tensors = wild_call(case, wild, seed, dtype)
            expected = results_of(REFERENCE, case, tensors)
            if strided:
                tensors["value"] = tensors["value"].transpose(1, 3).contiguous().transpose(1, 3)
            actual = results_of(torch.ops.dcnbuild, case, tensors)
            tolerance = 1e-11 if dtype == torch.float64 else 1e-5
            assert_same(actual, expected, tolerance, (number, seed))
            seen += sum(int((~t.isfinite()).sum()) for t in expected.values())
    assert seen > 0


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("argument", ["value", "attention_weights", "grad_output"])
def test_a_sample_outside_passes_nothing_on(argument: str, value: float, route: str) -> None:
    case = SHAPES[0]
    tensors = case.tensors(0)
    far = torch.tensor([[-2.0, 0.5], [0.5, 3.0], [1e30, 0.5], [0.5, -math.inf]]).double()
    tensors["sampling_locations"][:, 3] = far
    tensors[argument][...] = value
    result = results_of(ROUTES[route], case, tensors)
    assert (result["grad_sampling_locations"][:, 3] == 0).all()
    assert (result["grad_attention_weights"][:, 3] == 0).all()
    assert not result["grad_sampling_locations"].isfinite().all(), "or the others would say nothing"


@pytest.mark.parametrize("route", ROUTES)
def test_a_nan_location_shows_and_touches_no_pixel(route: str) -> None:
    case = AttnCase(1, 1, 5, 2, 1, ((3, 3),))
    tensors = case.tensors(0)
    tensors["sampling_locations"][0, 0, ..., 0] = math.nan
    result = results_of(ROUTES[route], case, tensors)
    assert result["output"][0, 0].isnan().all() and result["output"][0, 1].isfinite().all()
    assert result["grad_sampling_locations"][0, 0].isnan().all()
    assert result["grad_attention_weights"][0, 0].isnan().all()
    assert result["grad_value"].isfinite().all()
