"""Tests two processes over gloo: DDP's and FSDP2's gradients and steps equal those of one process on the joined
batch.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hang import HANG
from integration.features import needs
from integration.models import Aligned, assert_same, gradients, image

WORLD = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the directory with the files that the workers wrote."""
    folder = tmp_path_factory.mktemp("distributed")
    worker = str(Path(__file__).with_name("distributed_worker.py"))
    workers = [
        subprocess.Popen(
            [sys.executable, worker, str(rank), str(WORLD), str(folder)],
            cwd=folder,
            env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(WORLD)
    ]
    said = []
    try:
        said = [process.communicate(timeout=HANG)[0] for process in workers]
    finally:
        for process in workers:
            process.kill()
    assert all(process.returncode == 0 for process in workers), "\n".join(said)
    return folder


def alone() -> tuple[dict[str, Any], dict[str, Any]]:
    """Gradients and weights after the same step in this process, on the batches of all ranks."""
    model = Aligned()
    grads = gradients(model, model(image(2 * WORLD, 3, 9, 8)))
    weights = {name: p.detach() - 0.1 * grads[name] for name, p in model.named_parameters()}
    return grads, weights


def assert_like_alone(folder: Path, kind: str) -> None:
    grads, weights = alone()
    for rank in range(WORLD):
        found = torch.load(folder / f"{kind}{rank}.pt", weights_only=True)
        assert_same(found["gradients"], grads, 1e-5)
        assert_same(found["weights"], weights, 1e-5)


@pytest.mark.slow
def test_ddp(folder: Path) -> None:
    assert_like_alone(folder, "ddp")


@pytest.mark.slow
@needs("fully_shard")
def test_fsdp2(folder: Path) -> None:
    assert_like_alone(folder, "fsdp")
    # and each process held half of the weights
    sizes = [torch.load(folder / f"fsdp{r}.pt", weights_only=True)["local"] for r in range(WORLD)]
    assert sizes == [Aligned().second.weight.numel() // WORLD] * WORLD
