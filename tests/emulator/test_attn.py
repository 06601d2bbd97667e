"""Attention's CUDA kernels, run on the CPU, against the plain-torch oracle."""

from __future__ import annotations

import math
from types import ModuleType

import pytest
import torch
from emulator.attention import (
    emulated,
    expected,
    rearranged,
    small_case,
)
from ops.attention_cases import NAMES, AttnCase
from ops.cases import assert_close
from torch import Tensor

ORDERS = ("forward", "reversed", "shuffled")
COLUMN_BYTES = (1, 1000, 20_000, 16 << 20)
F64, F32, F16, BF16 = torch.float64, torch.float32, torch.float16, torch.bfloat16
#: The dtypes of value and of the rest that are served, and how far from float64 a sum may be.
PAIRS = {
    (F64, F64): 1e-12,
    (F32, F32): 1e-5,
    **{(half, points): 4 * torch.finfo(half).eps for half in (F16, BF16) for points in (half, F32)},
}


def wide(results: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.double() for name, tensor in results.items()}


@pytest.mark.parametrize("block", range(4))
@pytest.mark.parametrize("dtypes", PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def test_random_configurations(
    dtypes: tuple[torch.dtype, torch.dtype],
    block: int,
    emulator: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every order of threads, size of chunk and layout; on both routes in turn."""
    for seed in range(25 * block, 25 * (block + 1)):
        monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", str(COLUMN_BYTES[seed // 2 % 4]))
        emulator.configure(ORDERS[seed % 3], seed)
        case = small_case(seed)
        tensors = case.tensors(seed, dtypes[0], points_dtype=dtypes[1])
        actual = emulated(case, rearranged(tensors, seed), deterministic=bool(seed % 2))
        value, points = dtypes
        assert actual["output"].dtype == actual["grad_value"].dtype == value
        assert actual["grad_sampling_locations"].dtype == actual["grad_attention_weights"].dtype == points
        assert all(tensor.is_contiguous() for tensor in actual.values())
        assert_close(wide(actual), expected(case, tensors), PAIRS[dtypes], (seed, case))


@pytest.mark.parametrize("channels", [1, 5, 24, 32, 33, 64, 100, 128, 130, 256, 384])
@pytest.mark.parametrize("dtype", [F64, F32, F16], ids=str)
def test_every_number_of_channels(dtype: torch.dtype, channels: int) -> None:
    """Lanes without a channel, groups of every size, and several slices of the channels."""
    case = AttnCase(batch=1, queries=5, channels=channels, points=4, shapes=((4, 3), (2, 2)))
    tensors = case.tensors(channels, dtype)
    tolerance = PAIRS[dtype, dtype]
    assert_close(wide(emulated(case, tensors)), expected(case, tensors), tolerance)


@pytest.mark.parametrize("levels", [1, 64])
def test_few_and_many_levels_and_points(levels: int) -> None:
    case = AttnCase(queries=3, points=130 // levels, shapes=((2, 3),) * levels)
    tensors = case.tensors(0)
    for deterministic in (False, True):
        actual = emulated(case, tensors, deterministic)
        assert_close(actual, expected(case, tensors), 1e-11)


#: For a coordinate, a weight, a pixel and an upstream gradient.
WILD = (math.nan, math.inf, -math.inf, 1e30, -1e30)


@pytest.mark.parametrize(
    "names",
    [
        ("sampling_locations",),
        ("attention_weights",),
        ("value",),
        ("grad_output",),
        ("sampling_locations", "attention_weights"),
        ("sampling_locations", "attention_weights", "value", "grad_output"),
    ],
    ids="+".join,
)
def test_not_finite(names: tuple[str, ...], emulator: ModuleType) -> None:
    """Every NaN and infinity where the oracle has it, on both routes."""
    case = AttnCase(queries=20)
    for seed in range(4):
        emulator.configure(ORDERS[seed % 3], seed)
        tensors = case.tensors(seed)
        generator = torch.Generator().manual_seed(seed)
        for name in names:
            chosen = torch.rand(tensors[name].shape, generator=generator) < 0.03
            which = torch.randint(len(WILD), tensors[name].shape, generator=generator)
            values = torch.tensor(WILD, dtype=F64)[which]
            tensors[name] = torch.where(chosen, values, tensors[name])
        wanted = expected(case, tensors)
        for deterministic in (False, True):
            for name, actual in emulated(case, tensors, deterministic).items():
                torch.testing.assert_close(*(actual, wanted[name]), rtol=1e-11, atol=1e-11, equal_nan=True, msg=name)


@pytest.mark.parametrize("place", [-0.1, 1.1, 0.5 / 6 - 1 / 6, 1 + 0.5 / 6, math.inf, 1e30])
def test_what_lies_outside_passes_nothing_on(place: float) -> None:
    """Not even what is not finite: no pixel is read."""
    case = AttnCase(batch=1, shapes=((6, 6),))
    tensors = case.tensors(0)
    tensors["sampling_locations"][..., 0] = place if abs(place) > 1 or place == -0.1 else place - 1e-9
    if place in (-0.1, 1.1):  # more than half a pixel from the border
        tensors["sampling_locations"][..., 0] = 3 * place - 1
    tensors["attention_weights"][...], tensors["grad_output"][...] = 2, math.inf
    result = emulated(case, tensors)
    assert (result["output"] == 0).all()
    for name in NAMES:
        assert (result[f"grad_{name}"] == 0).all(), name


def test_a_coordinate_that_is_nan_touches_no_pixel() -> None:
    case = AttnCase(batch=1, heads=1)
    tensors = case.tensors(0)
    tensors["sampling_locations"][0, 3, 0, 1, 2, 1] = math.nan
    for deterministic in (False, True):
        result = emulated(case, tensors, deterministic)
        assert result["output"][0, 3].isnan().all()
        assert result["output"][0, :3].isfinite().all()
        assert result["grad_sampling_locations"][0, 3, 0, 1, 2].isnan().all()
        assert result["grad_attention_weights"][0, 3, 0, 1, 2].isnan()
        assert result["grad_attention_weights"].isnan().sum() == 1
        assert result["grad_value"].isfinite().all()


@pytest.mark.parametrize(
    ("case", "shape"),
    [
        (AttnCase(batch=0), (0, 7, 16)),
        (AttnCase(queries=0), (2, 0, 16)),
        (AttnCase(shapes=((0, 0),)), (2, 7, 16)),
        (AttnCase(shapes=((0, 5), (2, 2), (3, 0))), (2, 7, 16)),
    ],
    ids=["no image", "no query", "no pixel", "levels without pixels"],
)
def test_empty(case: AttnCase, shape: tuple[int, ...], emulator: ModuleType) -> None:
    tensors = case.tensors(0)
    emulator.take_launches()
    result = emulated(case, tensors)
    assert result["output"].shape == shape
    assert_close(result, expected(case, tensors), 1e-12)
    assert case.batch * case.queries or not emulator.take_launches()


def test_pixels_that_do_not_match_are_refused_before_anything_runs(emulator: ModuleType) -> None:
    case = AttnCase()
    tensors = case.tensors(0)
    tensors["value"] = tensors["value"][:, 1:]
    with pytest.raises(RuntimeError, match=r"value has 36 pixels.*expected 37"):
        emulated(case, tensors)
    assert not emulator.take_launches()
