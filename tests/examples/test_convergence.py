"""Tests that both causes keep the loss large as the example says, and that their cures help."""

from __future__ import annotations

from pathlib import Path

import convergence
import pytest
import torch
from examples.support import record, run_here
from PIL import Image
from shaken_frames import REFERENCE_NOISE


@pytest.mark.slow
def test_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_here(convergence.main, tmp_path, monkeypatch, "--steps", "40", "--out", "here")
    found = record(tmp_path / "here" / "convergence.json")
    assert list(found["losses"]) == list(convergence.NETWORKS)
    last = {name: sum(losses[-10:]) / 10 for name, losses in found["losses"].items()}
    shallow, activated, deep, deep_without = last.values()
    assert max(shallow, deep) < REFERENCE_NOISE**2 / 3
    assert activated > REFERENCE_NOISE**2 / 2.5 and activated > 2 * shallow
    assert deep_without > 5 * deep and deep_without > REFERENCE_NOISE**2
    first_layer = {name: first for name, (first, _) in found["gradients"].items()}
    *_, deep_first, deep_without_first = first_layer.values()
    assert deep_without_first < 1e-3 * deep_first
    with Image.open(tmp_path / "here" / "convergence.png") as image:
        image.verify()


@pytest.mark.parametrize("name", convergence.NETWORKS)
def test_the_networks_of_a_pair_differ_in_one_thing(name: str) -> None:
    depth, shortcuts, last_activation = convergence.NETWORKS[name]
    network = convergence.Denoiser(depth, shortcuts, last_activation)
    layers = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(layers) == depth
    input = torch.rand(1, 1, 16, 16)
    below = (network(input) - input < 0).any()
    assert below or last_activation
