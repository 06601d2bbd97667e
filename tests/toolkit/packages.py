"""Makes an index of small packages that look like CUDA's."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

VERSION = "13.97"  # that nobody has


def wheel(index: Path, name: str, contents: dict[str, str], metadata: str = "") -> None:
    """Writes a wheel as NVIDIA's are: files under nvidia/cu13, programs executable."""
    info = f"{name}-{VERSION}.1.dist-info"
    contents = {
        **contents,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}.1\n{metadata}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(index / f"{name}-{VERSION}.1-py3-none-any.whl", "w") as archive:
        for path, text in contents.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (0o755 if "/bin/" in path else 0o644) << 16
            archive.writestr(entry, text)


def nvcc_wheel(index: Path, script: str) -> None:
    """The wheel that holds nvcc and a runtime library under its versioned name only."""
    version = json.dumps({"cuda": {"version": f"{VERSION}.1"}})
    contents = {"bin/nvcc": script, "version.json": version, "lib/libcudart.so.13": ""}
    wheel(index, "nvidia_nvcc", {f"nvidia/cu13/{name}": text for name, text in contents.items()})


def packages(index: Path, nvcc: Path) -> None:
    requires = 'Provides-Extra: nvcc\nProvides-Extra: cccl\nRequires-Dist: nvidia_nvcc; extra == "nvcc"\n'
    wheel(index, "cuda_toolkit", {}, requires)
    nvcc_wheel(index, f'#!/bin/sh\nexec {nvcc} "$@"\n')
