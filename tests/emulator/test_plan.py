"""Chunk plan and launch geometry: plain functions of the shapes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def load_model() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu_model.py"
    spec = importlib.util.spec_from_file_location("gpu_model", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["gpu_model"] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # where it imports its other files from
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


gpu_model = load_model()

MIB = 1 << 20

GEOMETRIES = st.fixed_dictionaries(
    {
        "batch": st.integers(0, 100),
        "channels": st.sampled_from([1, 3, 8, 64, 256, 2048]),
        "height": st.integers(0, 300),
        "width": st.integers(0, 300),
        "out_channels": st.sampled_from([1, 7, 64, 512, 4096]),
        "out_height": st.integers(0, 300),
        "out_width": st.integers(0, 300),
        "kernel_h": st.integers(1, 7),
        "kernel_w": st.integers(1, 7),
        "offset_groups": st.just(1),
    }
)


@settings(max_examples=300)
@given(
    sizes=GEOMETRIES,
    element_size=st.sampled_from([2, 4, 8]),
    deterministic=st.booleans(),
    column_bytes=st.sampled_from([1, 4096, MIB, 16 * MIB]),
)
def test_a_plan_covers_the_batch_within_its_bound(
    sizes: dict[str, int],
    element_size: int,
    deterministic: bool,
    column_bytes: int,
    emulator: ModuleType,
) -> None:
    g = emulator.Geometry(**sizes)
    acc_size = max(4, element_size)
    plan = emulator.plan_chunks(g, element_size, acc_size, deterministic, column_bytes)
    assert plan.images >= 1 and plan.positions >= 1
    positions = max(1, g.positions())
    if plan.images > 1:
        assert plan.positions == positions, "a pass of several images is one chunk"
        passes = -(-sizes["batch"] // plan.images)
        assert -(-sizes["batch"] // passes) == plan.images, "passes of equal size"
    rows = plan.images * plan.positions
    if rows > 1:
        columns = rows * g.column_size() * element_size
        maps = rows * sizes["out_channels"] * element_size
        sorting = rows * emulator.sort_bytes(g, acc_size) if deterministic else 0
        assert columns <= column_bytes
        assert maps <= column_bytes / 2
        assert sorting <= column_bytes
    if plan.images > 1:
        image = sizes["channels"] * sizes["height"] * sizes["width"] * acc_size
        assert plan.images * image <= column_bytes / 4


def test_the_defaults_keep_the_promises_of_64_and_192_mb(emulator: ModuleType) -> None:
    assert 4 * emulator.column_bytes == 64 * MIB
    assert 4 * emulator.most_column_bytes == 192 * MIB


@pytest.mark.parametrize(
    ("processors", "out_channels", "groups", "element_size", "mib"),
    [
        (0, 256, 1, 2, 16),  # not known
        (40, 256, 1, 2, 16),  # 20 tiles down, 11 MiB: no fewer than the default
        (132, 256, 1, 2, 66 * 128 * 9 * 256 * 2 / MIB),  # 66 tiles down, 2 across: 37 MiB
        (132, 256, 1, 4, 48),  # would be 74 MiB
        (132, 1024, 1, 4, 17 * 128 * 9 * 256 * 4 / MIB),  # 17 tiles down, 8 across
        (132, 256, 4, 4, 33 * 128 * 9 * 256 * 4 / MIB),  # a tile of 64 outputs for each of 4 groups
        (132, 0, 1, 4, 48),
    ],
)
def test_chunks_give_every_multiprocessor_a_tile(
    processors: int,
    out_channels: int,
    groups: int,
    element_size: int,
    mib: float,
    emulator: ModuleType,
) -> None:
    g = emulator.Geometry(channels=256, kernel_h=3, kernel_w=3, out_channels=out_channels, groups=groups)
    assert emulator.chunk_bytes(g, element_size, processors) == mib * MIB


def test_chunks_of_the_benchmark_layer_are_equal_and_aligned(emulator: ModuleType) -> None:
    g = emulator.Geometry(
        batch=8, channels=256, height=64, width=64, out_channels=256,
        out_height=64, out_width=64, kernel_h=3, kernel_w=3,
    )  # fmt: skip
    plan = emulator.plan_chunks(g, 4, 4, False)
    assert (plan.images, plan.positions) == (1, 1408)  # 3 chunks of 4096 positions
    half = emulator.plan_chunks(g, 2, 4, False)
    assert (half.images, half.positions) == (1, 2048)  # 2 chunks


def test_small_images_share_a_chunk(emulator: ModuleType) -> None:
    g = emulator.Geometry(
        batch=64, channels=512, height=7, width=7, out_channels=512,
        out_height=7, out_width=7, kernel_h=3, kernel_w=3,
    )  # fmt: skip
    plan = emulator.plan_chunks(g, 2, 4, False)
    assert plan.positions == 49 and plan.images == 32


@pytest.mark.parametrize("positions", [1, 7, 8, 9, 1820, 2**31 - 2**16 - 1])
@pytest.mark.parametrize("channels", [1, 2, 9, 16, 17, 49, 392, 10_000])
def test_a_grid_covers_all_samples(positions: int, channels: int, emulator: ModuleType) -> None:
    grid = emulator.sample_grid(positions, channels)
    assert grid.tiles * emulator.positions_per_block >= positions
    assert (grid.tiles - 1) * emulator.positions_per_block < positions
    assert grid.channels * grid.splits >= channels
    assert grid.channels * (grid.splits - 1) < channels
    assert 1 <= grid.channels <= emulator.samples_per_block // emulator.positions_per_block
    assert grid.blocks() == grid.tiles * grid.splits


def test_few_positions_still_fill_a_gpu(emulator: ModuleType) -> None:
    assert emulator.sample_grid(1820, 9).blocks() >= 528
    assert emulator.sample_grid(49, 9).blocks() == 7 * 9, "no more than one block a sample channel"
    assert emulator.sample_grid(100_000, 9).splits == 1


@pytest.mark.parametrize(("vectors", "lanes"), [(0, 1), (1, 1), (2, 2), (3, 4), (8, 8), (31, 32), (64, 32)])
def test_lanes(vectors: int, lanes: int, emulator: ModuleType) -> None:
    assert emulator.lanes_per_sample(vectors) == lanes


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [
        ({}, True),
        ({"height": 2**16, "width": 2**15 - 2}, True),
        ({"height": 2**16, "width": 2**15}, False),
        ({"padding_h": 2**30}, False),
        ({"padding_w": 2**30}, False),
        ({"out_height": 2**16, "out_width": 2**15}, False),
        ({"out_channels": 2**31}, False),
        ({"kernel_h": 2**10, "kernel_w": 2**10, "offset_groups": 2**9, "channels": 2**9}, False),
        ({"kernel_h": 2**10, "kernel_w": 2**10, "channels": 2**11}, False),
    ],
)
def test_what_32_bits_hold(sizes: dict[str, int], fits: bool, emulator: ModuleType) -> None:
    assert emulator.fits_kernels(emulator.Geometry(**sizes)) is fits


@pytest.mark.parametrize("size", [7, 14, 28, 64, 128])
@pytest.mark.parametrize("dtype", ["float32", "half"])
def test_the_model_counts_the_chunks_of_the_plan(dtype: str, size: int, emulator: ModuleType) -> None:
    layer = gpu_model.Layer(batch=8, channels=256, height=size, width=size, out_channels=256)
    g = emulator.Geometry(
        batch=8, channels=256, height=size, width=size, out_channels=256,
        out_height=size, out_width=size, kernel_h=3, kernel_w=3,
    )  # fmt: skip
    plan = emulator.plan_chunks(g, gpu_model.element_size(dtype), 4, False)
    passes, parts = -(-8 // plan.images), -(-size * size // plan.positions)
    assert gpu_model.chunks(layer, dtype) == passes * parts


def test_the_deterministic_route_is_within_four_times_by_the_model() -> None:
    for gpu in gpu_model.GPUS:
        for batch, channels, size in [(1, 64, 128), (8, 256, 64), (64, 512, 7), (16, 8, 200)]:
            layer = gpu_model.Layer(batch, channels, size, size, channels)
            for dtype in ("float32", "tf32", "half"):
                times = gpu_model.estimate(layer, gpu, dtype)
                slow = times["dcnbuild backward, deterministic"]
                assert slow <= 4 * times["dcnbuild backward"], (gpu, layer, dtype)
