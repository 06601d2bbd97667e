"""Writes the files of repositories, and runs code over them, in this process or in another."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import torch


def convolution() -> tuple[torch.Tensor, ...]:
    """Input, offset and mask of a call with kernels of 3×3."""
    torch.manual_seed(0)
    return torch.randn(1, 4, 6, 5), torch.randn(1, 18, 6, 5), torch.rand(1, 9, 6, 5)


def run(code: str) -> dict[str, object]:
    """What is defined once the code has run."""
    namespace: dict[str, object] = {}
    exec(code, namespace)
    return namespace


def write(path: Path, text: str = "") -> None:
    """Writes a file, and makes the directories above it packages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    importlib.invalidate_caches()


def python(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
    )


def output_of(tmp_path: Path, *arguments: str | Path) -> str:
    done = python(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
