"""Tests the decision which route serves a call, and the sizes of tiles: plain functions."""

from __future__ import annotations

import argparse
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcnbuild.ops.fused import configs, route, tuning
from dcnbuild.ops.fused.configs import Config
from dcnbuild.ops.fused.route import Device
from dcnbuild.ops.fused.shapes import Shape

LAYER = Shape(8, 256, (64, 64), 256, (64, 64), (3, 3), 1, 1, 2)
H100 = Device((9, 0), 132)


def test_the_variable() -> None:
    assert route.mode({}) == route.mode({"DCNBUILD_FUSED": ""}) == "auto"
    assert route.mode({"DCNBUILD_FUSED": "on"}) == "on"
    with pytest.raises(ValueError, match=r"DCNBUILD_FUSED is 'yes', expected auto, on or off"):
        route.mode({"DCNBUILD_FUSED": "yes"})


def test_auto_is_off_until_a_gpu_has_measured_it() -> None:
    assert "no GPU has measured" in str(route.refusal("auto", LAYER, H100))
    assert route.refusal("off", LAYER, H100) == "DCNBUILD_FUSED=off"
    assert route.refusal("on", LAYER, H100) is None


def test_info_tells_of_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from dcnbuild.cli import info

    monkeypatch.setenv("DCNBUILD_FUSED", "on")
    monkeypatch.setattr(route, "unavailable", lambda: "it needs triton")
    assert info.run(argparse.Namespace(json=False)) == 0
    assert "fused (DCNBUILD_FUSED=on): cannot be had: it needs triton" in capsys.readouterr().out
    monkeypatch.setenv("DCNBUILD_FUSED", "maybe")
    with pytest.raises(ValueError, match="DCNBUILD_FUSED is 'maybe'"):
        info.run(argparse.Namespace(json=False))


@pytest.mark.parametrize(
    ("changes", "device", "in_order", "reason"),
    [
        ({}, Device((7, 5), 40), False, "this is 7.5"),
        ({"element_size": 8}, H100, False, "float64"),
        ({}, H100, True, "deterministic"),
        ({"batch": 0}, H100, False, "no elements"),
        ({"size": (0, 5)}, H100, False, "no elements"),
        ({"out_channels": 0}, H100, False, "no elements"),
        ({"size": (1 << 15, 1 << 15)}, H100, False, "32-bit"),
        ({"out_size": (1 << 15, 1 << 15)}, H100, False, "32-bit"),
        ({"kernel": (1 << 11, 1 << 11)}, H100, False, "32-bit"),
        ({"padded": (1 << 30, 64)}, H100, False, "32-bit"),
        ({"kernel": (99, 99), "out_size": (5000, 5000)}, H100, False, "32-bit"),
    ],
)
def test_what_the_chunked_route_keeps(changes: dict[str, object], device: Device, in_order: bool, reason: str) -> None:
    shape = replace(LAYER, **changes)  # type: ignore[arg-type]
    assert reason in str(route.refusal("on", shape, device, in_order=in_order))


@pytest.mark.parametrize(
    ("groups", "offset_groups", "segment"), [(1, 1, 12), (2, 1, 6), (1, 3, 4), (4, 3, 1), (2, 4, 3)]
)
def test_a_segment_lies_in_one_group_and_one_offset_group(groups: int, offset_groups: int, segment: int) -> None:
    shape = replace(LAYER, channels=12, groups=groups, offset_groups=offset_groups)
    assert shape.segment == segment


@pytest.mark.parametrize("kernel", ["forward", "samples", "weight"])
@pytest.mark.parametrize("element_size", [2, 4, 8])
def test_tiles(kernel: configs.Kernel, element_size: int) -> None:
    """Powers of two of at least 16, as tensor cores need, and not twice as large as the product."""
    for sizes in ((1, 1, 1), (100, 3, 20), (10_000, 256, 256), (33, 4096, 2)):
        found = configs.candidates(kernel, element_size, *sizes)
        assert 1 <= len(found) <= 3 and len(set(found)) == len(found)
        for config in found:
            for side, size in zip((config.BM, config.BN, config.BK), sizes):
                assert side >= 16 and side & (side - 1) == 0
                assert side == 16 or side < 2 * size


@settings(max_examples=200)
@given(
    rows=st.integers(1, 1 << 30),
    tiles=st.integers(1, 10_000),
    step=st.sampled_from([16, 32, 64]),
    processors=st.integers(1, 200),
    weight_bytes=st.integers(4, 1 << 28),
)
def test_splits_cover_the_rows_within_the_workspace(
    rows: int, tiles: int, step: int, processors: int, weight_bytes: int
) -> None:
    size = configs.split_rows(rows, tiles, step, processors, weight_bytes)
    splits = -(-rows // size)
    assert size >= 1 and size % step == 0
    assert splits == 1 or splits * weight_bytes <= configs.WORKSPACE
    assert splits == 1 or (splits - 1) * tiles < 4 * processors, "no more than keeps the GPU busy"


def test_a_layer_of_few_tiles_is_split_for_every_multiprocessor() -> None:
    tiles = 9 * 256 // 64 * 256 // 128
    size = configs.split_rows(8 * 64 * 64, tiles, 32, 132, 4 * 9 * 256 * 256)
    assert tiles * -(-8 * 64 * 64 // size) >= 4 * 132


@settings(max_examples=200)
@given(
    batch=st.integers(1, 10_000),
    positions=st.integers(1, (1 << 30) - 1),
    image_bytes=st.integers(0, 1 << 34),
    samples=st.integers(1, 1000),
)
def test_passes(batch: int, positions: int, image_bytes: int, samples: int) -> None:
    programs = positions * samples
    images = configs.images_at_once(batch, positions, image_bytes, programs)
    assert images == 1 or images * programs // 16 <= configs.ROW_LIMIT
    assert 1 <= images <= batch
    assert images * positions <= configs.ROW_LIMIT
    assert images == 1 or images * image_bytes <= configs.WORKSPACE


class OutOfResources(Exception):
    """Has the name of Triton's."""


def test_the_fastest_tiles_are_taken() -> None:
    first, slow, large = Config(16, 16, 16), Config(32, 16, 16), Config(64, 16, 16)
    times = {first: 2.0, slow: 3.0, Config(16, 32, 16): 1.0}
    running: list[Config] = []

    def start(config: Config) -> None:
        if config == large:
            raise OutOfResources("shared memory")
        running.append(config)

    def clock(work: object) -> float:
        work()  # type: ignore[operator]
        return times[running[-1]]

    assert tuning.fastest([first, slow, large], start, clock) == first
    assert tuning.fastest([first, large, Config(16, 32, 16)], start, clock) == Config(16, 32, 16)
    with pytest.raises(OutOfResources):
        tuning.fastest([large, first], start, clock)
