"""Tests the fused kernels in Triton's interpreter against the reference in float64."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from fused.calls import operators, results
from ops.cases import Case, assert_close, random_case, run
from ops.not_finite_cases import REFERENCE, SETS, SHAPES, assert_same, results_of, wild_call

import dcnbuild

TOLERANCE = {torch.float64: 1e-13, torch.float32: 2e-6, torch.float16: 5e-3, torch.bfloat16: 2e-2}
#: Everything varied, and 6 channels of 2 groups and 3 offset groups: runs of one channel. Few programs.
MIXED = Case(*(1, 6, 4, (5, 4), (2, 1), (2, 1), (1, 0), (1, 2)), groups=2, offset_groups=3, mask=True)
PLAIN = Case(batch=2, channels=5, out_channels=3, size=(4, 5), kernel=(1, 2), mask=False)


def compare(launch: ModuleType, case: Case, dtype: torch.dtype, seed: int = 0, channels_last: bool = False) -> None:
    tensors = case.tensors(seed, dtype)
    if channels_last:
        tensors["input"] = tensors["input"].contiguous(memory_format=torch.channels_last)
    exact = {name: None if t is None else t.double() for name, t in tensors.items()}
    expected = run(dcnbuild.reference.deform_conv2d, case, exact, dtype)
    actual = results(launch, case, tensors)
    assert_close({name: t.double() for name, t in actual.items()}, expected, TOLERANCE[dtype], case)


@pytest.mark.parametrize(("case", "dtype"), [(MIXED, torch.float32), (PLAIN, torch.float64)], ids=["mixed", "plain"])
@pytest.mark.usefixtures("tiles")
def test_agrees(case: Case, dtype: torch.dtype, interpreted: ModuleType) -> None:
    compare(interpreted, case, dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.usefixtures("tiles", "bfloat16_products")
def test_half_types_are_rounded_once_in_and_once_out(dtype: torch.dtype, interpreted: ModuleType) -> None:
    compare(interpreted, PLAIN, dtype, channels_last=True)


def test_tiles_that_do_not_divide_the_call(tiles: Callable[..., None], interpreted: ModuleType) -> None:
    """21 channels by 18 outputs over 40 positions: two tiles of each, the second partly empty."""
    tiles(rows=32, channels=16, outputs=16)
    case = Case(batch=2, channels=21, out_channels=18, size=(4, 5), kernel=(1, 1), padding=(0, 0))
    compare(interpreted, case, torch.float64)


@pytest.mark.usefixtures("tiles")
def test_images_in_passes(interpreted: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of one image at a time: the gradient of the weight is summed over passes."""
    monkeypatch.setattr(interpreted.configs, "WORKSPACE", 1)
    compare(interpreted, PLAIN, torch.float64)


@pytest.mark.usefixtures("tiles")
def test_rows_in_splits(interpreted: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreted.configs, "split_rows", lambda rows, *_: 512)
    case = Case(batch=13, channels=2, out_channels=2, size=(6, 7), kernel=(1, 1), padding=(0, 0))
    compare(interpreted, case, torch.float64)  # 546 rows


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.usefixtures("tiles")
def test_nan_and_infinity(interpreted: ModuleType) -> None:
    case = Case(channels=2, out_channels=2, size=(4, 5), kernel=(1, 2), padding=(0, 1))
    tensors = wild_call(case, SETS[-3], 0, torch.float64)
    expected = results_of(REFERENCE, case, tensors)
    assert any(not t.isfinite().all() for t in expected.values())
    assert_same(results_of(operators(interpreted), case, tensors), expected, 1e-11, "")


@pytest.mark.slow
@pytest.mark.parametrize("wild", SETS, ids="+".join)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.usefixtures("tiles")
def test_nan_and_infinity_everywhere(wild: tuple[str, ...], interpreted: ModuleType) -> None:
    for number, case in enumerate(SHAPES):
        for dtype in (torch.float64, torch.float32):
            tensors = wild_call(case, wild, number, dtype)
            expected = results_of(REFERENCE, case, tensors)
            tolerance = 1e-11 if dtype == torch.float64 else 1e-5
            actual = results_of(operators(interpreted), case, tensors)
            assert_same(actual, expected, tolerance, (number, dtype))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_random_calls(seed: int, tiles: Callable[..., None], interpreted: ModuleType) -> None:
    tiles(rows=(512, 64)[seed % 2])
    dtype = (torch.float64, torch.float32)[seed // 2 % 2]
    compare(interpreted, random_case(seed), dtype, seed, channels_last=bool(seed // 4 % 2))
