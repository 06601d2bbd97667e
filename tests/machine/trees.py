"""Directory trees and small programs for the probes to examine."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dcnbuild.machine.facts import Toolkit
from dcnbuild.machine.toolkits import find_toolkits

HEADERS = (
    "cuda_runtime.h",
    "crt/host_config.h",
    "thrust/complex.h",
    "cublas_v2.h",
    "cusparse.h",
    "cusolverDn.h",
)
LIBRARIES = ("libcudart.so", "libcudart_static.a", "libcudadevrt.a")


def write(path: Path, text: str | bytes = "", executable: bool = False) -> Path:
    """Writes a file with all its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if executable:
        path.chmod(0o755)
    return path


def script(path: Path, *lines: str) -> Path:
    """An executable shell script."""
    return write(path, "\n".join(["#!/bin/sh", *lines, ""]), executable=True)


def cuda_h(version: str) -> str:
    """The line of cuda.h that states its version."""
    major, minor = version.split(".")
    return f"#define CUDA_VERSION {int(major) * 1000 + int(minor) * 10}\n"


def toolkit(
    root: Path,
    version: str = "12.4",
    headers: tuple[str, ...] = HEADERS,
    libraries: tuple[str, ...] = LIBRARIES,
) -> Path:
    """A toolkit as NVIDIA's installer lays it out; its nvcc is a file that cannot run."""
    write(root / "bin/nvcc", b"\x7fELF no program", executable=True)
    write(root / "bin/ptxas", b"\x7fELF", executable=True)
    write(root / "nvvm/bin/cicc", b"\x7fELF", executable=True)
    write(root / "include/cuda.h", cuda_h(version))
    for name in headers:
        write(root / "include" / name)
    for name in libraries:
        write(root / "lib64" / name)
    write(root / "version.json", f'{{"cuda": {{"version": "{version}.1"}}}}')
    return root


def find(root: Path, **env: str) -> list[Toolkit]:
    """The toolkits of a machine that lies under `root`, with an empty PATH."""
    return find_toolkits({"PATH": "", **env}, prefix=root / "prefix", root=root)


def compile_library(path: Path, source: str, *flags: str) -> Path:
    """A shared library from C source, made with the machine's own compiler."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path), *flags],
        input=source.encode(),
        check=True,
    )
    return path


def torch_install(site: Path, version: str, cuda: str | None, text: str = "") -> Path:
    """A torch of which only version.py is there, as the releases write it."""
    return write(
        site / "torch/version.py",
        text
        or "from typing import Optional\n\n"
        "__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip']\n"
        f"__version__ = '{version}'\ndebug = False\n"
        f"cuda: Optional[str] = {cuda!r}\ngit_version = 'abc'\nhip: Optional[str] = None\n",
    )
