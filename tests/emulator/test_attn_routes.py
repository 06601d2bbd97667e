"""Tests how attention splits a call and which kernels it launches: passes, chunks, order, workspace, errors, far
memory.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from emulator.attention import emulated, expected
from emulator.test_chunks import peak_bytes
from emulator.test_index64 import far_apart
from ops.attention_cases import AttnCase
from ops.cases import assert_close

ORDERS = [("forward", 0), ("reversed", 0), *(("shuffled", seed) for seed in range(3))]
CASES = {
    "spread": AttnCase(queries=40, shapes=((5, 6), (3, 2))),
    "odd channels": AttnCase(queries=20, channels=7, shapes=((3, 3),)),
}
MIB = 1 << 20


@pytest.mark.parametrize("column_bytes", ["100", "3000", "16777216"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_the_deterministic_route_has_the_same_bits_in_every_order(
    name: str,
    dtype: torch.dtype,
    column_bytes: str,
    emulator: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", column_bytes)
    tensors = CASES[name].tensors(0, dtype)
    found = []
    for order, seed in ORDERS:
        emulator.configure(order, seed)
        found.append(emulated(CASES[name], tensors, deterministic=True))
    for other in found[1:]:
        for gradient, tensor in found[0].items():
            assert torch.equal(tensor, other[gradient]), gradient


def test_the_default_route_does_depend_on_the_order(emulator: ModuleType) -> None:
    """Without the deterministic route the bits depend on the order, so the test above can fail. Only the value's
    gradient does.
    """
    tensors = CASES["spread"].tensors(0, torch.float32)
    found = []
    for order, seed in ORDERS:
        emulator.configure(order, seed)
        found.append(emulated(CASES["spread"], tensors))
    first, *others = found
    assert any(not torch.equal(first["grad_value"], other["grad_value"]) for other in others)
    for other in others:
        for name in ("output", "grad_sampling_locations", "grad_attention_weights"):
            assert torch.equal(first[name], other[name])


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_all_samples_on_one_pixel(channels: int, emulator: ModuleType) -> None:
    """All samples on one pixel make the longest run of the sorted route, which spans many tiles."""
    case = AttnCase(batch=1, queries=60, heads=1, channels=channels, shapes=((5, 6),))
    tensors = case.tensors(0)
    tensors["sampling_locations"][..., 0], tensors["sampling_locations"][..., 1] = 0.4, 0.7
    wanted = expected(case, tensors)
    for order, seed in ORDERS:
        emulator.configure(order, seed)
        assert_close(emulated(case, tensors, deterministic=True), wanted, 1e-12)


def test_one_launch_each_way(emulator: ModuleType) -> None:
    case = AttnCase(batch=4)
    tensors = case.tensors(0, torch.float32)
    emulated(case, tensors)
    assert len(emulator.take_launches()) == 2


@pytest.mark.parametrize("wanted", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (0, 0, 0)])
@pytest.mark.parametrize("deterministic", [False, True])
def test_only_the_gradients_that_are_wanted(wanted: tuple[int, ...], deterministic: bool, emulator: ModuleType) -> None:
    case = AttnCase()
    tensors = case.tensors(0)
    every = expected(case, tensors)
    emulator.take_launches()
    result = emulated(case, tensors, deterministic, [bool(flag) for flag in wanted])
    if not any(wanted):
        assert len(emulator.take_launches()) == 1, "the forward pass's"
    for flag, name in zip(wanted, ("grad_value", "grad_sampling_locations", "grad_attention_weights")):
        if flag:
            torch.testing.assert_close(result[name], every[name], rtol=0, atol=1e-12)
        else:
            assert result[name].numel() == 0


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_every_failing_launch_raises(
    dtype: torch.dtype,
    deterministic: bool,
    emulator: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forward and backward, each launch in turn; in several chunks and, of halves, passes."""
    monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", "9000")
    case = AttnCase(batch=3)
    tensors = case.tensors(0, dtype)
    emulator.take_launches()
    emulated(case, tensors, deterministic)
    launches = len(emulator.take_launches())
    assert launches >= (8 if deterministic else 2)
    for before in range(launches):
        emulator.fail_launch("out of memory", before)
        with pytest.raises(RuntimeError, match="out of memory"):
            emulated(case, tensors, deterministic)
    emulated(case, tensors, deterministic)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_workspace_does_not_grow_with_the_batch(
    dtype: torch.dtype, deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 1 << 15
    monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", str(bound))
    operators = torch.ops.dcnbuild_emulated
    for queries in (4, 60):
        peaks = []
        for batch in (16, 64):  # several passes of half values
            case = AttnCase(batch=batch, queries=queries, channels=16)
            t = case.tensors(0, dtype)
            arguments = (t["value"], case.flat, t["sampling_locations"], t["attention_weights"])
            forward = operators.deform_attn
            assert peak_bytes(forward, *arguments) <= 0, "nothing but its output"
            backward = operators.deform_attn_backward
            peak = peak_bytes(*(backward, t["grad_output"], *arguments, [True] * 3, deterministic))
            assert peak <= 3 * bound
            peaks.append(peak)
        assert peaks[0] == peaks[1]


@pytest.mark.parametrize(
    ("name", "dim"),
    [
        *(("value", dim) for dim in range(4)),
        *(("sampling_locations", dim) for dim in range(6)),
        *(("attention_weights", dim) for dim in range(5)),
        *(("grad_output", dim) for dim in range(3)),
    ],
)
def test_far_elements(name: str, dim: int, tmp_path: Path) -> None:
    case = AttnCase(queries=3, shapes=((2, 3), (2, 2)))
    given = case.tensors(0, torch.float16)
    order = (dim, *(other for other in range(given[name].dim()) if other != dim))
    moved = {**given, name: far_apart(given[name], dim, order, tmp_path / "sparse")}
    for deterministic in (False, True):
        actual, wanted = (emulated(case, t, deterministic) for t in (moved, given))
        for result, tensor in wanted.items():
            torch.testing.assert_close(actual[result], tensor, rtol=2e-3, atol=2e-3)


def test_value_of_more_than_2_31_elements(emulator: ModuleType) -> None:
    output, atomic, in_order = emulator.attention_beyond_32_bits()
    assert (output, atomic, in_order) == (3.0, 1.0, 1.0)


def test_the_plan_keeps_to_its_bound(emulator: ModuleType) -> None:
    encoder = {"pixels": 17_821, "heads": 8, "channels": 32, "queries": 17_821}
    images, samples, fits = emulator.attn_plan(batch=64, **encoder)
    assert fits and images == 64, "float32 is summed where it belongs, in one launch"
    entry = 4 * emulator.sorted_entry_bytes(32, 4)
    assert samples * entry <= 16 * MIB < (samples + 1) * entry
    images, _, _ = emulator.attn_plan(batch=64, element_size=2, **encoder)
    assert images == 1, "18 MB of sums an image"
    small = {**encoder, "pixels": 1000}
    images, _, _ = emulator.attn_plan(batch=64, element_size=2, **small)
    assert images == 32 * MIB // (1000 * 256 * 4)
    assert emulator.attn_plan(batch=64, element_size=2, bytes=1, **encoder)[:2] == (1, 1)


@pytest.mark.parametrize(
    ("sizes", "images", "fits"),
    [
        ({"queries": 2**28, "heads": 8}, 1, False),
        ({"queries": 2**28, "heads": 4}, 1, True),
        ({"queries": 2**20, "heads": 4, "channels": 256}, 63, True),
        ({"pixels": 2**28, "heads": 8}, 1, False),
        ({"pixels": 2**26, "heads": 4, "queries": 10}, 7, True),
    ],
)
def test_passes_keep_counts_in_32_bits(sizes: dict[str, int], images: int, fits: bool, emulator: ModuleType) -> None:
    plan = emulator.attn_plan(batch=100, **sizes)
    assert (plan[0], plan[2]) == (images, fits)
