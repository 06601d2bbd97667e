"""Tests the emulator: it runs blocks, barriers, shuffles and atomics, and reports behaviour that a GPU leaves
undefined.
"""

from __future__ import annotations

from types import ModuleType

import pytest

ORDERS = ("forward", "reversed", "shuffled")


@pytest.mark.parametrize("os_threads", [1, 2])
@pytest.mark.parametrize("order", ORDERS)
def test_sums_of_blocks(order: str, os_threads: int, emulator: ModuleType) -> None:
    emulator.configure(order, seed=3, os_threads=os_threads)
    values = [float(i % 11) for i in range(256 * 5)]
    sums = emulator.block_sums(values)
    assert sums == [sum(values[256 * i : 256 * (i + 1)]) for i in range(5)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("divergent_barrier", "not all threads of the block reach the barrier"),
        ("two_barriers", "different barriers"),
        ("divergent_shuffle", "not all threads of the mask reach the shuffle"),
    ],
)
def test_divergence_is_an_error(kernel: str, message: str, order: str, emulator: ModuleType) -> None:
    emulator.configure(order)
    assert message in emulator.launch_error(kernel, 2)
    assert emulator.launch_error("nothing", 2) == "", "the emulator is usable after an error"


def test_what_no_gpu_launches(emulator: ModuleType) -> None:
    assert "invalid configuration" in emulator.raw_launch_error(0, 256)
    assert "invalid configuration" in emulator.raw_launch_error(1, 1025)
    assert emulator.raw_launch_error(1, 1024) == ""


def test_launch_skips_an_empty_grid(emulator: ModuleType) -> None:
    assert emulator.launch_error("nothing", 0) == ""
    assert emulator.take_launches() == []
    assert emulator.launch_error("nothing", 3) == ""
    assert emulator.take_launches() == [3]
