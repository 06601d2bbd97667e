"""The sampling of DCNv3 and DCNv4 by attention's CUDA kernels, run on the CPU, against the plain-torch oracle."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from emulator.test_attn import COLUMN_BYTES, ORDERS, PAIRS, wide
from ops.cases import assert_close
from ops.not_finite_cases import assert_same
from ops.sample_cases import NAMES, SampleCase, expected_of, random_case, results_of

from dcnbuild.ops.reference.deform_sample import taps

EMULATED = torch.ops.dcnbuild_emulated


@pytest.mark.parametrize("block", range(2))
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
        case = random_case(seed)
        tensors = case.tensors(seed, dtypes[0], points_dtype=dtypes[1])
        given = dict(tensors)
        if seed % 2:  # channels before rows in memory, and DCNv4's packed offsets and masks
            given["input"] = given["input"].movedim(-1, 1).contiguous().movedim(1, -1)
            packed = torch.cat([given["offset"].flatten(4), given["mask"]], -1)
            split = 2 * taps(case.attributes)
            given["offset"] = packed[..., :split].unflatten(-1, (-1, 2))
            given["mask"] = packed[..., split:]
        actual = results_of(EMULATED, case, given, deterministic=bool(seed // 2 % 2))
        assert all(actual[f"grad_{name}"].dtype == tensors[name].dtype for name in NAMES)
        expected = expected_of(case, {name: t.double() for name, t in tensors.items()})
        assert_close(wide(actual), expected, PAIRS[dtypes], (seed, case))


def test_the_deterministic_route_has_the_same_bits_in_every_order(emulator: ModuleType) -> None:
    case = SampleCase(channels=7)
    tensors = case.tensors(0, torch.float32)
    found = []
    for order, seed in (("forward", 0), ("reversed", 0), ("shuffled", 1)):
        emulator.configure(order, seed)
        found.append(results_of(EMULATED, case, tensors, deterministic=True))
    for other in found[1:]:
        assert all(torch.equal(tensor, other[name]) for name, tensor in found[0].items())


def test_not_finite(emulator: ModuleType) -> None:
    """Every NaN and infinity where the oracle has it, on both routes."""
    case = SampleCase(1, (4, 5), 2, 6)
    for seed in range(4):
        emulator.configure(ORDERS[seed % 3], seed)
        tensors = case.tensors(seed)
        generator = torch.Generator().manual_seed(seed)
        for name in tensors:
            chosen = torch.rand(tensors[name].shape, generator=generator) < 0.03
            wild = torch.tensor([float("nan"), float("inf"), 1e30], dtype=torch.float64)
            which = torch.randint(3, tensors[name].shape, generator=generator)
            tensors[name] = torch.where(chosen, wild[which], tensors[name])
        expected = expected_of(case, tensors)
        for deterministic in (False, True):
            assert_same(results_of(EMULATED, case, tensors, deterministic), expected, 1e-11, seed)


@pytest.mark.parametrize(
    "case",
    [SampleCase(batch=0), SampleCase(size=(0, 3)).but(padding=(2, 1))],
    ids=["no image", "no pixel"],
)
def test_empty(case: SampleCase) -> None:
    tensors = case.tensors(0)
    assert_close(results_of(EMULATED, case, tensors), expected_of(case, tensors), 1e-12)
