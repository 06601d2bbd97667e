"""Fixtures: a real compiler, and a home directory for installed toolkits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dcnbuild.machine.toolkits import find_toolkits


@pytest.fixture(scope="session")
def nvcc() -> Path:
    """A real nvcc of CUDA 13."""
    toolkits = [item for item in find_toolkits(os.environ) if item.version.startswith("13.")]
    if not toolkits:
        pytest.skip("no CUDA 13 toolkit on this machine")
    return toolkits[0].nvcc


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Returns variables with a fresh home, and with tmp_path/index as pip's only index."""
    (tmp_path / "index").mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "index"),
        "PIP_CONFIG_FILE": os.devnull,
    }
