"""Reads one CUDA toolkit from its files: its version, and the files that it lacks."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from dcnbuild.machine import files, trust
from dcnbuild.machine.facts import Toolkit

#: The headers that torch's CUDA headers include, and the files that nvcc and the linker need.
#: ATen/cuda/CUDAContextLight.h includes cuBLAS, cuSPARSE and cuSOLVER (read in torch 2.14.1). nvcc itself needs the
#: others (tested by removing each).
WANTED_HEADERS = (
    "cuda_runtime.h",
    "crt/host_config.h",
    "thrust/complex.h",
    "cublas_v2.h",
    "cusparse.h",
    "cusolverDn.h",
)


WANTED_LIBRARIES = ("libcudart.so", "libcudart_static.a", "libcudadevrt.a")


WANTED_TOOLS = ("cicc", "ptxas")


def read_toolkit(nvcc: Path, env: Mapping[str, str]) -> Toolkit | None:
    """Returns the toolkit of a real nvcc; None if neither its files nor nvcc give a version."""
    root = nvcc.parent.parent
    include = [root / "include", *files.children(root, "targets/*/include")]
    libraries = [root / "lib64", root / "lib", *files.children(root, "targets/*/lib")]
    tools = [nvcc.parent, root / "nvvm/bin"]
    if root.name == "nvidia-cuda-toolkit":  # Debian: the tools are here, all else in the system's directories
        root = root.parent.parent
        include = [root / "include"]
        libraries = [root / "lib/x86_64-linux-gnu", root / "lib/aarch64-linux-gnu", root / "lib"]
        tools.append(root / "bin")
    include = [path for path in files.existing(include) if files.is_file(path / "cuda_runtime.h")]
    libraries = [path for path in files.existing(libraries) if files.children(path, "libcudart*")]
    in_headers = headers_version(include)
    # asks nvcc before the headers: pip and conda can put headers of one release beside the nvcc of another
    version = _version_file(nvcc.parent.parent) or _asked_version(nvcc, env) or in_headers
    if version is None:
        return None
    places = [*include, *(path / "cccl" for path in include)]  # CUDA 13 moved thrust and cub
    missing = [
        *(name for name in WANTED_HEADERS if not somewhere(places, name)),
        *(name for name in WANTED_LIBRARIES if not somewhere(libraries, name)),
        *(name for name in WANTED_TOOLS if not somewhere(tools, name)),
    ]
    return Toolkit(
        root=root,
        nvcc=nvcc,
        version=version,
        include=tuple(include),
        libraries=tuple(libraries),
        missing=tuple(missing),
        headers_version=in_headers,
    )


def somewhere(directories: list[Path], name: str) -> bool:
    """Whether one of the directories has a file of this name."""
    return any(files.is_file(directory / name) for directory in directories)


def _version_file(root: Path) -> str | None:
    text = files.read_text(root / "version.json")
    if text is not None:
        try:
            parts = json.loads(text)
            return _major_minor(parts.get("cuda_nvcc", parts["cuda"])["version"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
    return _major_minor(files.read_text(root / "version.txt") or "")  # up to CUDA 11.0


def headers_version(include: list[Path]) -> str | None:
    """Returns the CUDA version of the headers in these directories; None if there are none."""
    for directory in include:
        for name, macro in (("cuda.h", "CUDA_VERSION"), ("cuda_runtime_api.h", "CUDART_VERSION")):
            text = files.read_text(directory / name) or ""
            match = re.search(rf"^#define\s+{macro}\s+(\d{{4,6}})\b", text, re.MULTILINE)
            if match:
                number = int(match[1])
                return f"{number // 1000}.{number % 1000 // 10}"
    return None


def _asked_version(nvcc: Path, env: Mapping[str, str]) -> str | None:
    if trust.writable_by_others(nvcc):
        return None  # even if the user named it: examining a toolkit must not run a program that others can write
    output = files.run([os.fspath(nvcc), "--version"], env) or ""
    match = re.search(r"release (\d+\.\d+)", output)
    return match[1] if match else None


def _major_minor(text: str) -> str | None:
    match = re.search(r"\b(\d{1,3}\.\d{1,3})(?:\.|\b)", text)
    return match[1] if match else None
