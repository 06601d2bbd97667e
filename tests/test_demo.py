"""Tests the demo: its result on real frames, its output, and the files that it must not touch."""

from __future__ import annotations

import math
import os
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the demo needs matplotlib: pip install '.[demo]'")

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch.nn import functional

import dcnbuild
from dcnbuild.builder import native
from dcnbuild.cli import demo as command
from dcnbuild.cli import main
from dcnbuild.demo import align, comparison, figure, frames
from dcnbuild.errors import Finding, FindingError


@pytest.fixture(scope="module")
def pair() -> frames.Frames:
    return frames.make_frames(frames.read_photograph(128), seed=3)


def numpy_psnr(image: torch.Tensor, reference: torch.Tensor) -> float:
    """PSNR of images in 0..1, written down once more."""
    difference = image.numpy().astype(np.float64) - reference.numpy()
    return float(-10 * np.log10(np.mean(difference**2)))


def read_by_grid_sample(image: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Returns image(p + offset(p)), sampled bilinearly by torch's grid_sample."""
    height, width = image.shape[2:]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    grid = torch.stack(
        [
            2 * (torch.from_numpy(x) + offset[0, 1]) / (width - 1) - 1,
            2 * (torch.from_numpy(y) + offset[0, 0]) / (height - 1) - 1,
        ],
        dim=-1,
    )
    return functional.grid_sample(image, grid[None], mode="bilinear", align_corners=True)


def test_command_raises_psnr_and_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.png"
    arguments = ["--size", "128", "--steps", "60", "--seed", "3", "--device", "cpu"]
    assert main(["demo", *arguments, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    found = re.search(r"PSNR: ([\d.]+) dB before, ([\d.]+) dB after", printed)
    assert found
    before, after = map(float, found.groups())
    expected = frames.make_frames(frames.read_photograph(128), seed=3)
    assert before == pytest.approx(numpy_psnr(expected.warped, expected.reference), abs=0.01)
    assert after > before + 8
    assert "data_range 1.0" in printed
    assert f"route {native.status('cpu').route}" in printed
    with Image.open(output) as image:
        image.load()
        assert image.format == "PNG" and min(image.size) > 500
        assert len(image.convert("RGB").getcolors(maxcolors=10**7) or ()) > 1000
    assert os.listdir(tmp_path) == ["out.png"]


def test_psnr() -> None:
    image = torch.full((1, 3, 4, 4), 0.5)
    assert align.psnr(image + 0.1, image) == pytest.approx(20.0, abs=1e-4)
    assert align.psnr(image, image) == math.inf
    with pytest.raises(TypeError, match=r"float images, got torch\.uint8"):
        align.psnr((image * 255).byte(), (image * 255).byte())


def test_true_offsets_lead_back_to_the_reference(pair: frames.Frames) -> None:
    assert pair.offset.norm(dim=1).max().item() == pytest.approx(0.02 * 128, rel=1e-3)
    before = numpy_psnr(pair.warped, pair.reference)
    back = read_by_grid_sample(pair.warped, pair.offset)
    assert numpy_psnr(back, pair.reference) > before + 6
    for wrong in (-pair.offset, pair.offset.flip(1)):
        assert numpy_psnr(read_by_grid_sample(pair.warped, wrong), pair.reference) < before + 1


def test_frames_follow_the_seed(pair: frames.Frames) -> None:
    again, other = (frames.make_frames(pair.reference, seed) for seed in (3, 4))
    assert torch.equal(again.warped, pair.warped)
    assert not torch.allclose(other.offset, pair.offset, atol=0.1)


def test_alignment_reads_where_its_offsets_point(pair: frames.Frames) -> None:
    model = align.Alignment(*pair.reference.shape[2:])
    torch.nn.init.uniform_(model.control, -2, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        offset = model.offset(*model.size)
        aligned = model(pair.warped)
    inside = (..., slice(4, -4), slice(4, -4))
    expected = read_by_grid_sample(pair.warped, offset)
    torch.testing.assert_close(aligned[inside], expected[inside], atol=1e-4, rtol=0)


def test_training_finds_the_true_offsets(pair: frames.Frames) -> None:
    model = align.Alignment(*pair.reference.shape[2:])
    seen: list[float] = []
    align.train(model, pair.warped, pair.reference, 240, seen.append)
    assert len(seen) == 240
    with torch.no_grad():
        missed = (model.offset(*model.size) - pair.offset).norm(dim=1).mean()
    assert missed < 0.45 * pair.offset.norm(dim=1).mean()


def test_comparison_with_torchvision(pair: frames.Frames) -> None:
    pytest.importorskip("torchvision", reason="compares with torchvision")
    weight = torch.randn(3, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    compared = comparison.compare_with_torchvision(pair.warped, pair.offset, weight)
    assert isinstance(compared, comparison.Comparison)
    assert compared.ours > 0 and compared.theirs > 0
    assert compared.difference < 1e-5
    assert f"{compared.theirs / compared.ours:.1f} times as fast" in str(compared)


def test_comparison_without_torchvision(pair: frames.Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)
    said = comparison.compare_with_torchvision(pair.warped, pair.offset, torch.eye(3)[..., None, None])
    assert said == "no comparison, torchvision is not installed"


@pytest.mark.parametrize("missing", ["matplotlib", "PIL", "torch"])
def test_missing_extra_is_named(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("align", "comparison", "figure", "frames"):
        monkeypatch.delitem(sys.modules, f"dcnbuild.demo.{module}")
        monkeypatch.delattr(f"dcnbuild.demo.{module}")
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["demo"]) == 1
    error = capsys.readouterr().err
    assert f"{missing} is not installed" in error
    assert "pip install 'dcnbuild[demo]'" in error


def test_picture_is_replaced_and_never_written_into(tmp_path: Path) -> None:
    path, link = tmp_path / "dcnbuild-demo.png", tmp_path / "other name"
    path.write_bytes(b"old")
    os.link(path, link)
    figure.save(Figure(figsize=(1, 1)), path)
    assert link.read_bytes() == b"old"
    with Image.open(path) as image:
        image.verify()
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_failed_write_leaves_the_old_picture(tmp_path: Path) -> None:
    class FullDisk(Figure):
        def savefig(self, fname: Path, **_: object) -> None:  # type: ignore[override]
            fname.write_bytes(b"half")
            raise OSError("no space left on device")

    path = tmp_path / "dcnbuild-demo.png"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="no space"):
        figure.save(FullDisk(), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "."], "is a directory"),
        (["--output", "missing/out.png"], "there is no directory"),
        (["--photo", "missing.jpg"], "missing.jpg"),
        (["--photo", "text.jpg"], "cannot identify image file"),
        (["--photo", "pipe"], "is no file"),
        (["--photo", "bomb.pgm"], "decompression bomb"),
        (["--size", "20"], "17 x 20 pixels, but its shorter side needs at least 32"),
        (["--device", "cuda"], "torch finds no GPU"),
    ],
)
def test_bad_input_ends_before_the_training(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    Path("text.jpg").write_text("no image")
    Path("bomb.pgm").write_text("P5 60000 60000 255\n")
    os.mkfifo("pipe")
    assert main(["demo", *arguments]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert sorted(os.listdir()) == ["bomb.pgm", "pipe", "text.jpg"]


@pytest.mark.parametrize("arguments", [["--steps", "0"], ["--seed", str(2**70)], ["--size", "x"]])
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["demo", *arguments])
    assert raised.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_gpu_without_kernels(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ensure = native.ensure

    def no_cuda(device_type: str) -> native.Route:
        if device_type == "cuda":
            raise FindingError(Finding("no-nvcc", "error", "no nvcc", "none was found."))
        return ensure(device_type)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(native, "ensure", no_cuda)
    assert command.choose_device("auto") == "cpu"
    assert "the GPU stays unused. no nvcc" in capsys.readouterr().out
    with pytest.raises(FindingError, match="no nvcc"):
        command.choose_device("cuda")


def test_own_photograph_of_an_extreme_shape(tmp_path: Path) -> None:
    """A strip, turned by its EXIF orientation, with fewer control points than a curvature needs."""
    photo = tmp_path / "strip.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (32, 800, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.fromarray(noise).save(photo, exif=exif)
    image = frames.read_photograph(800, photo)
    assert image.shape == (1, 3, 800, 32)
    made = frames.make_frames(image, seed=0)
    model = align.Alignment(800, 32)
    seen: list[float] = []
    align.train(model, made.warped, made.reference, 4, seen.append)
    assert all(map(math.isfinite, seen))
    assert torch.isfinite(model.control).all()


def test_offsets_go_through_our_operator(pair: frames.Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's alignment fails if dcnbuild.deform_conv2d is replaced by a function that raises."""
    monkeypatch.setattr(dcnbuild, "deform_conv2d", lambda input, offset, weight: input * 0)
    model = align.Alignment(*pair.reference.shape[2:])
    assert not model(pair.warped).any()
