"""Tests torch.use_deterministic_algorithms(True): the same bits for every order of threads."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from ops.cases import Case, assert_close, run

import dcnbuild

CASES = {
    "spread": Case(batch=2, channels=12, out_channels=8, size=(9, 8), offset_groups=3),
    "one chunk of several images": Case(batch=3, channels=4, out_channels=4, size=(4, 4)),
    "odd channels": Case(batch=1, channels=7, out_channels=5, size=(6, 6)),
}
ORDERS = [("forward", 0), ("reversed", 0), *(("shuffled", seed) for seed in range(4))]


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def results(case: Case, spread: float, emulator: ModuleType) -> list[dict[str, torch.Tensor]]:
    """Returns the results of one call in each order of threads and blocks."""
    tensors = case.tensors(0, torch.float32, spread=spread)
    found = []
    for order, seed in ORDERS:
        emulator.configure(order, seed)
        found.append(run(dcnbuild.deform_conv2d, case, tensors))
    return found


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("column_bytes", ["100", "20000", "16777216"])
@pytest.mark.parametrize("name", CASES)
def test_same_bits_in_every_order(
    name: str, column_bytes: str, emulator: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", column_bytes)
    first, *others = results(CASES[name], 2.0, emulator)
    for other in others:
        for gradient, value in first.items():
            assert torch.equal(value, other[gradient]), gradient


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("size", [(255, 257), (256, 256), (257, 256)], ids=lambda size: f"{size[0] * size[1]} cells")
def test_the_last_cell(size: tuple[int, int]) -> None:
    """Keys of 16 bits hold 65,535 cells, and one more key for corners outside."""
    case = Case(1, channels=3, out_channels=2, size=size, kernel=(1, 1), stride=(128, 128), padding=(0, 0))
    tensors = case.tensors(0, torch.float64, spread=200.0)
    last = tensors["offset"][..., -1:, -1:]
    last[:, 0] += size[0] - 1.25 - last[:, 0] - 128 * (tensors["offset"].shape[2] - 1)
    last[:, 1] += size[1] - 1.25 - last[:, 1] - 128 * (tensors["offset"].shape[3] - 1)
    expected = run(dcnbuild.reference.deform_conv2d, case, tensors)
    assert expected["grad_input"][..., -1, -1].all()
    assert_close(run(dcnbuild.deform_conv2d, case, tensors), expected, 1e-12)


def test_the_default_route_does_depend_on_the_order(emulator: ModuleType) -> None:
    """Without the deterministic route the bits depend on the order, so the test above can fail."""
    first, *others = results(CASES["spread"], 2.0, emulator)
    assert any(not torch.equal(first["grad_input"], other["grad_input"]) for other in others)
    for other in others:
        assert torch.equal(first["output"], other["output"])
        assert torch.equal(first["grad_offset"], other["grad_offset"])


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("channels", [1, 4, 6])
def test_all_samples_on_one_pixel(channels: int, emulator: ModuleType) -> None:
    """All samples on one pixel make the longest run of the sorted route, which spans many tiles."""
    case = Case(batch=1, channels=channels, out_channels=3, size=(8, 8))
    tensors = case.tensors(0, torch.float64)
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    for tap in range(9):  # every tap reads (3.5, 2.25)
        tensors["offset"][:, 2 * tap] = 3.5 - (y - 1 + tap // 3)
        tensors["offset"][:, 2 * tap + 1] = 2.25 - (x - 1 + tap % 3)
    expected = run(dcnbuild.reference.deform_conv2d, case, tensors)
    for order, seed in ORDERS:
        emulator.configure(order, seed)
        assert_close(run(dcnbuild.deform_conv2d, case, tensors), expected, 1e-12)
