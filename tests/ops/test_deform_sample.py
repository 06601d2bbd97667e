"""The sampling of DCNv3 and DCNv4 against the reference and grid_sample."""

from __future__ import annotations

import math

import pytest
import torch
from ops.cases import assert_close
from ops.not_finite_cases import assert_same
from ops.point_cases import differentiated
from ops.sample_cases import (
    CASE,
    KERNELS,
    NAMES,
    REFERENCE,
    SampleCase,
    expected_of,
    grid_sampled,
    random_case,
    results_of,
)

import dcnbuild


@pytest.mark.parametrize("block", range(3))
def test_random_configurations(block: int, device: str) -> None:
    for seed in range(100 * block, 100 * (block + 1)):
        case = random_case(seed)
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
            tensors = case.tensors(seed, dtype, device)
            actual = results_of(KERNELS, case, tensors)
            assert_close(actual, expected_of(case, tensors), tolerance, (seed, case))


@pytest.mark.parametrize("seed", [*range(8), 17, 23])
def test_is_the_sum_of_weighted_grid_samples(seed: int) -> None:
    """Output and every gradient, as InternImage's plain path has them."""
    case = random_case(seed)
    tensors = case.tensors(seed)
    expected = differentiated(lambda *t: grid_sampled(*t, case.attributes), tensors)
    for namespace in (KERNELS, REFERENCE):
        assert_close(results_of(namespace, case, tensors), expected, 1e-10, (seed, case))
    assert expected["output"].abs().max() > 1e-3


def test_the_first_tap_lies_left_above_and_the_second_below_it() -> None:
    """(x, y) of offsets, and taps down the columns, on numbers that can be counted."""
    image = torch.arange(20.0).view(1, 4, 5, 1)
    offset, mask = torch.zeros(1, 4, 5, 1, 9, 2), torch.zeros(1, 4, 5, 1, 9)
    mask[0, 1, 2, 0, 1] = 1.0
    assert dcnbuild.deform_sample(image, offset, mask, padding=1)[0, 1, 2, 0] == 6  # row 1, column 1
    offset[0, 1, 2, 0, 1] = torch.tensor([2.0, 1.0])
    assert dcnbuild.deform_sample(image, offset, mask, padding=1)[0, 1, 2, 0] == 13  # row 2, column 3
    plain = dcnbuild.reference.deform_sample(image, offset, mask, padding=1)
    assert plain[0, 1, 2, 0] == 13
    # The middle stays where it is; the tap at −1 comes to −1/2.
    offset.zero_()
    sampled = dcnbuild.deform_sample(image, offset, mask, padding=1, offset_scale=0.5)
    assert sampled[0, 1, 2, 0] == 6.5


@pytest.mark.parametrize("float_points", [False, True], ids=["half", "float"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_summed_in_float32(dtype: torch.dtype, float_points: bool, device: str) -> None:
    for case in (CASE, SampleCase(channels=20)):
        points_dtype = torch.float32 if float_points else None
        tensors = case.tensors(1, dtype, device, points_dtype)
        actual = results_of(KERNELS, case, tensors)
        expected = results_of(REFERENCE, case, {name: t.float() for name, t in tensors.items()})
        assert actual["output"].dtype == actual["grad_input"].dtype == dtype
        assert actual["grad_offset"].dtype == actual["grad_mask"].dtype == tensors["mask"].dtype
        # One rounding, of the result.
        eps = torch.finfo(dtype).eps
        assert_close({n: t.float() for n, t in actual.items()}, expected, eps)


def test_memory_layouts(device: str) -> None:
    """Channels first in memory, crops, and DCNv4's packed offsets and mask."""
    case = SampleCase(channels=12)
    tensors = case.tensors(2, device=device)
    expected = results_of(KERNELS, case, tensors)
    reordered = {n: t.movedim(-1, 1).contiguous().movedim(1, -1) for n, t in tensors.items()}
    wide = {n: torch.stack([t, t + 1], 3).flatten(2, 3)[:, :, ::2] for n, t in tensors.items()}
    tall = {n: torch.stack([t, t + 1], 2).flatten(1, 2)[:, ::2] for n, t in tensors.items()}
    packed = torch.cat([tensors["offset"].flatten(4), tensors["mask"]], -1)
    views = {"offset": packed[..., :18].unflatten(-1, (9, 2)), "mask": packed[..., 18:]}
    for given in (reordered, wide, tall, {**tensors, **views}):
        assert all(torch.equal(given[name], t) for name, t in tensors.items())
        assert_close(results_of(KERNELS, case, given), expected, 1e-13)


def test_threads_do_not_change_a_bit() -> None:
    case = SampleCase(2, (20, 15), 2, 20)
    tensors = case.tensors(0, torch.float32)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(results_of(KERNELS, case, tensors))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(tensor, results[0][name]) for name, tensor in result.items())


@pytest.mark.parametrize(
    "case",
    [
        SampleCase(batch=0),
        SampleCase(size=(0, 3)).but(padding=(2, 1)),
        SampleCase(size=(1, 1)),
        SampleCase(1, (3, 4), 1, 1).but(padding=(9, 9), stride=(7, 5)),
        SampleCase(1, (2, 2), 1, 256).but(kernel_size=(1, 1), padding=(0, 0)),
    ],
    ids=["no image", "no pixel", "one pixel", "wide padding", "one tap"],
)
def test_edges(case: SampleCase, device: str) -> None:
    tensors = case.tensors(0, torch.float64, device)
    actual = results_of(KERNELS, case, tensors)
    assert_close(actual, results_of(REFERENCE, case, tensors), 1e-12)


WILD = {
    "input": (math.nan, math.inf, -math.inf),
    "offset": (math.nan, math.inf, -math.inf, 1e30, -1e30, 9.0, -9.0),
    "mask": (math.nan, math.inf, -math.inf, 0.0),
    "grad_output": (math.nan, math.inf, -math.inf),
}


@pytest.mark.parametrize("wild", [*((name,) for name in WILD), tuple(WILD)], ids="+".join)
def test_what_is_not_finite(wild: tuple[str, ...]) -> None:
    """As the reference has it, which follows docs/pytorch.md."""
    seen = 0
    for seed, dtype in ((0, torch.float64), (1, torch.float32), (2, torch.float64)):
        generator = torch.Generator().manual_seed(seed)
        case = SampleCase(1, (4, 5), 2, 11).but(offset_scale=(1.0, 0.5, 2.0)[seed])
        tensors = case.tensors(seed, dtype)
        for name in wild:
            values = torch.tensor(WILD[name], dtype=dtype)
            choice = torch.randint(0, 9 * len(values), tensors[name].shape, generator=generator)
            replaced = values[choice.clamp_max(len(values) - 1)]
            tensors[name] = torch.where(choice < len(values), replaced, tensors[name])
        expected = results_of(REFERENCE, case, tensors)
        tolerance = 1e-11 if dtype == torch.float64 else 1e-5
        assert_same(results_of(KERNELS, case, tensors), expected, tolerance, seed)
        seen += sum(int((~t.isfinite()).sum()) for t in expected.values())
    assert seen > 0


@pytest.mark.parametrize("wanted", range(8))
def test_only_the_gradients_that_are_asked_for(wanted: int) -> None:
    mask = (bool(wanted & 1), bool(wanted & 2), bool(wanted & 4))
    tensors = CASE.tensors()
    everything = results_of(KERNELS, CASE, tensors)
    some = results_of(KERNELS, CASE, tensors, wanted=mask)
    for name, asked in zip(NAMES, mask):
        if asked:
            assert torch.equal(some[f"grad_{name}"], everything[f"grad_{name}"])
        else:
            assert some[f"grad_{name}"].numel() == 0
