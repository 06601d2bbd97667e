"""Finds the wheels of torch to read: those for macOS, which are small and have the same headers and Python files."""

from __future__ import annotations

from pathlib import Path

from dcnbuild.base.versions import numbers
from dcnbuild.machine.compatibility import TorchRelease
from tools.knowledge.wheels import Archive, Wheel, fetch

#: Files to keep: headers, of ATen/ops one for each operator; Python files of public modules and a few private ones.
KEEP = (
    r"^torch/(?:lib/)?include/(?:ATen|c10|caffe2/core|torch|TH\w*)/(?!ops/\w+_(?:native|ops|dispatch)\.h).*\.(?:h|hpp|cuh)$"
    r"|^torch/(?:_C/|_six\.py|_tensor\.py|_utils\.py|_jit_internal\.py|__init__\.py|_\w+\.py$)"
    r"|^torch/(?!testing/|include/|test/)(?:[a-z]\w*/)*(?:[a-z]\w*|__init__)\.pyi?$"
)
#: macOS wheels have no THC. Linux wheels are large; these few show the release that removed most of it.
LINUX = (
    Wheel("torch", "1.0.1", python="3.7"),
    Wheel("torch", "1.4.0", python="3.8"),
    Wheel("torch", "1.7.1", python="3.8"),
    Wheel("torch", "1.10.2", python="3.9"),
    Wheel("torch", "1.11.0", python="3.9"),
)
KEEP_CUDA = r"^torch/(?:lib/)?include/(?:TH\w*|c10/cuda|ATen/cuda)/.*\.(?:h|hpp|cuh)$"


def archive(row: TorchRelease, cache: Path) -> Archive:
    """Returns the newest wheel of a minor release."""
    new = numbers(row.release) >= (2, 0)
    platform = "macosx_15_0_arm64" if new else "macosx_13_0_x86_64"
    low, high = row.python
    python = min(high, "3.12", key=numbers) if new else min(high, "3.9", key=numbers)
    return fetch(Wheel("torch", row.newest, max(python, low, key=numbers), platform), cache, KEEP)
