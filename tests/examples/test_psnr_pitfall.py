"""Tests that PSNR without a cast is wrong as the example says, and that the example's right value is right."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import psnr_pitfall
import pytest
from examples.support import record, run_here
from PIL import Image


def test_the_right_value_is_right() -> None:
    image, reference = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    squares = [(int(a) - int(b)) ** 2 for a, b in zip(image.flat, reference.flat, strict=True)]
    expected = 10 * math.log10(255**2 / (sum(squares) / len(squares)))
    for name in ("cast first", "torchmetrics", "scikit-image"):
        assert psnr_pitfall.WAYS[name](image, reference) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("a", "b", "without_cast", "cast_too_late"),
    # the differences modulo 256 are 156 and 1; the squares modulo 256 are 16 and 1
    [(100, 200, 16, 156**2), (0, 255, 1, 1)],
)
def test_the_wrong_values_are_wrong_as_described(a: int, b: int, without_cast: int, cast_too_late: int) -> None:
    image, reference = np.full((4, 4), a, np.uint8), np.full((4, 4), b, np.uint8)
    for way, square in (
        (psnr_pitfall.psnr_without_cast, without_cast),
        (psnr_pitfall.psnr_cast_too_late, cast_too_late),
    ):
        assert way(image, reference) == pytest.approx(10 * math.log10(255**2 / square))


def test_noise_is_rounded_and_clipped() -> None:
    reference = np.array([0, 128, 255] * 100, np.uint8)
    noisy = psnr_pitfall.noisy(reference, 20)
    assert noisy.dtype == np.uint8
    assert noisy[::3].max() < 100 and noisy[2::3].min() > 155  # nothing came round the other end
    assert noisy[1::3].std() == pytest.approx(20, rel=0.2)


def test_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run_here(psnr_pitfall.main, tmp_path, monkeypatch, "--out", "here")
    printed = capsys.readouterr().out
    assert "the difference is 156 in uint8 (-100 modulo 256), its square 16" in printed
    found = record(tmp_path / "here" / "psnr_pitfall.json")
    right, wrong = (found["psnr"][name] for name in ("cast first", "uint8 all the way"))
    for name, line in found["psnr"].items():
        assert f"{name:27} {line[found['noise'].index(psnr_pitfall.PRINTED)]:6.2f} dB" in printed
    assert right == sorted(right, reverse=True)
    assert wrong[-1] > right[-1] + 10
    with Image.open(tmp_path / "here" / "psnr_pitfall.png") as image:
        image.verify()
