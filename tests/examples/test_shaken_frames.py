"""Tests the bursts against their description, since the comparison of the networks depends on it."""

from __future__ import annotations

import pytest
import shaken_frames
import torch
from alignment_network import read_at
from shaken_frames import Burst, make_bursts, photographs, psnr

SIZE = 64


@pytest.fixture(scope="module")
def photos() -> list[torch.Tensor]:
    return photographs(shaken_frames.VALIDATION)


@pytest.fixture(scope="module")
def burst(photos: list[torch.Tensor]) -> Burst:
    return make_bursts(photos, 64, SIZE, seed=1)


def test_photographs_are_real_and_apart() -> None:
    assert not set(shaken_frames.TRAINING) & set(shaken_frames.VALIDATION)
    for photo in photographs(shaken_frames.TRAINING):
        assert photo.dtype == torch.float32 and photo.shape[0] == 1
        assert photo.min() >= 0 and photo.max() <= 1 and photo.std() > 0.1


def test_shapes_and_noise(burst: Burst) -> None:
    assert burst.clean.shape == burst.reference.shape == (64, 1, SIZE, SIZE)
    assert burst.neighbours.shape == (64, shaken_frames.NEIGHBOURS, 1, SIZE, SIZE)
    noise = (burst.reference - burst.clean).std().item()
    assert noise == pytest.approx(shaken_frames.REFERENCE_NOISE, rel=0.02)


def test_displacement_leads_to_the_same_place(burst: Burst) -> None:
    neighbours, displacement = burst.neighbours.flatten(0, 1), burst.displacement.flatten(0, 1)
    clean = burst.clean.repeat_interleave(shaken_frames.NEIGHBOURS, 0)
    before = psnr(neighbours, clean)
    after = psnr(read_at(neighbours, displacement), clean)
    noise = -20 * torch.tensor(shaken_frames.NEIGHBOUR_NOISE).log10().item()
    assert before < 21 and after > noise + 0.5  # bilinear reading averages some of the noise
    for wrong in (-displacement, displacement.flip(1)):
        assert psnr(read_at(neighbours, wrong), clean) < before + 0.5


def test_the_shake_has_the_stated_distribution(burst: Burst) -> None:
    middle = burst.displacement[..., SIZE // 2 - 1 : SIZE // 2 + 1, SIZE // 2 - 1 : SIZE // 2 + 1]
    shift = middle.mean((-2, -1)).flatten(0, 1)
    assert shift.abs().max() <= shaken_frames.SHIFT * 1.02
    assert shift.abs().max() > 0.9 * shaken_frames.SHIFT
    # a uniform distribution in ±a has the standard deviation a / √3
    assert shift.std(0).tolist() == pytest.approx([shaken_frames.SHIFT / 3**0.5] * 2, rel=0.15)
    longest = burst.displacement.abs().max().item()
    assert longest <= shaken_frames.longest_displacement(SIZE)
    assert shaken_frames.longest_displacement(SIZE) < shaken_frames.MARGIN


def test_bursts_follow_the_seed(photos: list[torch.Tensor]) -> None:
    one, same, other = (make_bursts(photos, 2, SIZE, seed) for seed in (3, 3, 4))
    assert torch.equal(one.reference, same.reference)
    assert torch.equal(one.neighbours, same.neighbours)
    assert not torch.equal(one.clean, other.clean)
