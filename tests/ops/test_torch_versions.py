"""Compares the facts about torch releases in the table, in the docs and in the installed torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dcnbuild.ops import torch_versions

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "torch-versions.md"


def test_the_document_has_the_table() -> None:
    rows = [
        f"| `{feature.name}` | {feature.since[0]}.{feature.since[1]} | {feature.before} |"
        for feature in torch_versions.FEATURES
    ]
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `")] == rows


def test_a_feature_that_the_table_lacks_is_an_error() -> None:
    with pytest.raises(KeyError, match="teleport"):
        torch_versions.has("torch.teleport")


def test_opcheck_is_where_the_table_says() -> None:
    assert hasattr(torch.library, "opcheck") == torch_versions.has("torch.library.opcheck")


@pytest.mark.parametrize("device_type", ["cpu", "cuda"])
def test_autocast_is_seen(device_type: str) -> None:
    assert not torch_versions.is_autocast_enabled(device_type)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch_versions.is_autocast_enabled(device_type) == (device_type == "cpu")
        assert torch_versions.get_autocast_dtype("cpu") == torch.bfloat16
    assert not torch_versions.is_compiling()


def test_a_torch_before_2_0_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("__version__ = '1.13.1'\n")
    done = subprocess.run(
        [sys.executable, "-c", "import dcnbuild.ops.torch_versions"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
    )
    said = done.stderr.strip().splitlines()[-1]
    assert said == "ImportError: dcnbuild needs torch>=2.0, and this is torch 1.13.1"
