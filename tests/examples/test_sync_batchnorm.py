"""Tests BatchNorm on two processes: the statistics, the gradients, and the inverse of the normalisation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sync_batchnorm
import torch
from examples.support import EXAMPLES, record, run_example
from PIL import Image

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("sync_batchnorm")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    arguments = ("--steps", "1500", "--repeats", "6", "--out", "here")
    printed = run_example(directory, "sync_batchnorm.py", *arguments, launcher=launcher)
    assert printed.count("trained towards input / 2") == 1  # process 0 speaks for both
    with Image.open(directory / "here" / "sync_batchnorm.png") as image:
        image.verify()
    return record(directory / "here" / "sync_batchnorm.json")


def test_synchronised_statistics_are_those_of_the_joined_batch(found: dict[str, Any]) -> None:
    assert max(found["gaps"]["synchronised to joined"]) < 1e-6


def test_ordinary_statistics_differ_and_less_so_in_large_batches(found: dict[str, Any]) -> None:
    batches, between = found["batches"], found["gaps"]["ordinary"]
    assert min(between) > 0.01 and min(found["gaps"]["ordinary to joined"]) > 0.01
    slope = np.polyfit(np.log(batches), np.log(between), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.06)
    assert between[2:] == pytest.approx(found["gaps"]["expected"][2:], rel=0.2)


def test_gradients_are_those_of_one_process(found: dict[str, Any]) -> None:
    assert found["gradients"]["synchronised"] < 1e-12
    assert found["gradients"]["ordinary"] > 1e-4


def test_training_towards_half_the_input(found: dict[str, Any]) -> None:
    samples = np.random.default_rng(0).standard_normal((20_000, 8))
    small, large = found["half"]
    assert small["gamma"] == pytest.approx(samples.std(axis=1).mean() / 2, abs=0.02)
    assert large["gamma"] == pytest.approx(0.5, abs=0.01)
    assert abs(small["beta"]) < 0.03 and abs(large["beta"]) < 0.01
    for row in (small, large):
        assert row["undo error"] < 1e-5
        assert row["error with running statistics"] > 0.5


def test_statistics_are_per_channel() -> None:
    input = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    assert sync_batchnorm.per_channel_error(input) < 1e-6
    norm = torch.nn.BatchNorm2d(2, momentum=1.0)
    norm(input)
    expected = [np.var(input[:, c].numpy().ravel(), ddof=1) for c in range(2)]
    assert norm.running_var is not None
    assert norm.running_var.tolist() == pytest.approx(expected, rel=1e-5)


def test_alone_it_is_an_ordinary_batchnorm() -> None:
    ours, theirs = sync_batchnorm.SyncBatchNorm2d(3), torch.nn.BatchNorm2d(3)
    for training in (True, False):
        input = torch.randn(4, 3, 5, 5)
        torch.testing.assert_close(ours.train(training)(input), theirs.train(training)(input), rtol=0, atol=0)
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_expected_scale() -> None:
    # E of the (biased) standard deviation of two standard normal values is E|a - b| / 2 = 1 / √π
    assert sync_batchnorm.expected_scale(2) == pytest.approx(0.5 / math.sqrt(math.pi))
    assert sync_batchnorm.expected_scale(10**6) == pytest.approx(0.5, abs=1e-5)


def test_without_torchrun_it_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr("sys.argv", [str(EXAMPLES / "sync_batchnorm.py")])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="torchrun --nproc-per-node=2"):
        sync_batchnorm.main()
    assert not list(tmp_path.iterdir())
