"""Tests that the two networks differ only in the alignment, and that a killed training continues with the same
result.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import align_frames
import alignment_network
import pytest
import shaken_frames
import torch
from alignment_network import AlignmentNetwork
from examples.support import EXAMPLES, environment, record, run_here
from hang import wait_until
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

NEIGHBOURS = shaken_frames.NEIGHBOURS
#: A training that takes seconds.
SMALL = ("--batch", "1", "--size", "32", "--every", "4")


def networks() -> tuple[AlignmentNetwork, AlignmentNetwork]:
    """Returns both networks with random weights in every layer, because a new deformable layer predicts only zeros."""
    torch.manual_seed(0)
    both = AlignmentNetwork(False, NEIGHBOURS), AlignmentNetwork(True, NEIGHBOURS)
    for alignment in both[1].alignments:
        torch.nn.init.normal_(alignment.predict.weight, std=0.1)
    return both


def test_as_many_parameters() -> None:
    plain, deformable = (sum(tensor.numel() for tensor in network.parameters()) for network in networks())
    assert deformable <= plain <= 1.01 * deformable


def test_the_shake_is_within_the_receptive_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without offsets, and without the help of what was matched, a pixel of the plain network sees farther than any
    shake.

    The deformable network's field is the same, or a pixel of the coarse level smaller.
    """
    monkeypatch.setattr(alignment_network, "LEARNED_OFFSET", 0.0)
    monkeypatch.setattr(
        alignment_network,
        "match",
        lambda reference, neighbour, reach, window, sharpness: (
            reference.new_zeros(len(reference), (2 * reach + 1) ** 2, *reference.shape[2:]),
            reference.new_zeros(len(reference), 2, *reference.shape[2:]),
        ),
    )
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(1, 1, 96, 96, generator=generator, dtype=torch.float64)
    neighbours = torch.rand(1, NEIGHBOURS, 1, 96, 96, generator=generator, dtype=torch.float64)
    neighbours.requires_grad_()
    fields = []
    for network in networks():
        output = network.double()(reference, neighbours)[0, 0, 48, 48]
        (gradient,) = torch.autograd.grad(output, neighbours)
        seen = (gradient[0, 0, 0].abs() > 1e-12 * gradient.abs().max()).nonzero()
        fields.append((seen.amin(0).tolist(), seen.amax(0).tolist()))
    plain, deformable = fields
    assert 48 - min(plain[0]) > 3 * shaken_frames.longest_displacement(64)
    assert min(plain[1]) - 48 > 3 * shaken_frames.longest_displacement(64)
    for one, other, sign in zip(plain, deformable, (1, -1), strict=True):
        differences = [sign * (b - a) for a, b in zip(one, other, strict=True)]
        assert all(0 <= difference <= 4 for difference in differences)


def test_matching_finds_a_displacement() -> None:
    reference = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    neighbour = torch.roll(reference, (1, -2), dims=(2, 3))
    cost, displacement = alignment_network.match(reference, neighbour, 2, 5, torch.tensor(40.0))
    inner = (..., slice(6, -6), slice(6, -6))
    expected = torch.tensor([1.0, -2.0]).view(1, 2, 1, 1).expand_as(displacement[inner])
    torch.testing.assert_close(displacement[inner], expected, atol=0.01, rtol=0)
    assert (cost[inner].argmin(1) == 5 * (2 + 1) + (2 - 2)).all()


def test_every_parameter_matters() -> None:
    """A parameter without a gradient would count in the comparison, and do nothing."""
    frame, neighbours = torch.rand(1, 1, 32, 32), torch.rand(1, NEIGHBOURS, 1, 32, 32)
    for network in networks():
        network(frame, neighbours).square().mean().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.any(), name


def test_a_new_network_gives_the_frame_back_nearly() -> None:
    frame = torch.rand(1, 1, 32, 32)
    neighbours = torch.rand(1, NEIGHBOURS, 1, 32, 32)
    for network in networks():
        output = network(frame, neighbours)
        assert output.shape == frame.shape
        assert (output - frame).abs().mean() < 0.5
        assert not torch.equal(output, network(frame, neighbours.flip(-1)))


@pytest.mark.slow
def test_deformable_alignment_is_ahead_after_a_short_training() -> None:
    photos = shaken_frames.photographs(shaken_frames.TRAINING)
    validation = shaken_frames.make_bursts(
        shaken_frames.photographs(shaken_frames.VALIDATION), 16, 64, align_frames.VALIDATION_SEED
    )
    found = {}
    for kind in align_frames.KINDS:
        settings = {"kind": kind, "seed": 0, "steps": 60, "batch": 4, "size": 64}
        training = align_frames.Training(settings, Path("nowhere"))
        for _ in range(settings["steps"]):
            training.advance(photos)
        found[kind] = shaken_frames.psnr(align_frames.restore(training.network, validation), validation.clean)
    noisy = shaken_frames.psnr(validation.reference, validation.clean)
    assert found["plain"] > noisy + 4
    assert found["deformable"] > found["plain"] + 0.5


@pytest.mark.slow
def test_kill_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 12
    options = (*SMALL, "--steps", str(steps))
    checkpoint = tmp_path / "killed" / "plain-seed0.pt"
    command = [sys.executable, str(EXAMPLES / "align_frames.py"), *options, "--out", "killed"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE) as run:
        wait_until(lambda: checkpoint.exists() or run.poll() is not None, "no checkpoint is written")
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
    done = torch.load(checkpoint, weights_only=True)["step"]
    assert 0 < done < steps

    # TensorBoard reads its files in the order of their names, which begin with the second they were made in
    time.sleep(1.1)
    torch.set_num_threads(1)
    for out in ("killed", "whole"):
        run_here(align_frames.main, tmp_path, monkeypatch, *options, "--out", out)
    for kind in align_frames.KINDS:
        killed, whole = (
            torch.load(tmp_path / out / f"{kind}-seed0.pt", weights_only=True)["network"] for out in ("killed", "whole")
        )
        assert all(torch.equal(killed[name], whole[name]) for name in whole)
    results = [record(tmp_path / out / "align_frames.json") for out in ("killed", "whole")]
    assert results[0]["margins"] == results[1]["margins"]
    with Image.open(tmp_path / "killed" / "align_frames-seed0.png") as image:
        assert min(image.size) > 500

    log = EventAccumulator(str(tmp_path / "killed" / "tensorboard" / "plain-seed0")).Reload()
    assert [event.step for event in log.Scalars("psnr/training")] == list(range(steps))

    with pytest.raises(SystemExit, match=r"is a checkpoint of .*'steps': 12.*delete it"):
        run_here(align_frames.main, tmp_path, monkeypatch, *SMALL, "--steps", "5", "--out", "killed")
    assert torch.load(checkpoint, weights_only=True)["step"] == steps
