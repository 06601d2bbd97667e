"""NVRTC, the compiler of CUDA kernels that torch's own packages bring, and the headers that kernels include."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dcnbuild.machine.facts import TorchInstall
from dcnbuild.machine.files import children

#: What kernels include of CUDA; both come with one package.
HEADERS = ("cuda_fp16.h", "cuda_bf16.h")


@dataclass(frozen=True)
class NvrtcInstall:
    """NVRTC's files.

    Attributes:
        library: libnvrtc.so.
        builtins: what it loads by name, from wherever it lies.
        include: the directory of `HEADERS`.
    """

    library: Path
    builtins: tuple[Path, ...]
    include: Path


def find_nvrtc(torch: TorchInstall, env: Mapping[str, str]) -> NvrtcInstall | str:
    """The NVRTC of torch's CUDA version, or why there is none, with the package that brings what is missing.

    Args:
        torch: whose packages are looked at, before conda's directories and a toolkit.
        env: CUDA_HOME and CUDA_PATH name a toolkit.
    """
    if torch.cuda is None:
        return f"torch {torch.version} is built without CUDA"
    major = torch.cuda.partition(".")[0]
    suffix = "" if int(major) >= 13 else f"-cu{major}"
    roots = list(_roots(torch, major, env))
    library = next(
        (found for root in roots for found in _libraries(root, major)),
        None,
    )
    if library is None:
        return f"there is no libnvrtc.so.{major} beside torch: pip install nvidia-cuda-nvrtc{suffix}"
    include = next(
        (root / "include" for root in roots if all((root / "include" / name).is_file() for name in HEADERS)),
        None,
    )
    if include is None:
        return f"there is no {HEADERS[0]} beside torch: pip install nvidia-cuda-runtime{suffix}"
    builtins = (path for path in children(library.parent, "libnvrtc-builtins*.so*"))
    return NvrtcInstall(library, tuple(sorted(path for path in builtins if ".alt." not in path.name)), include)


def _roots(torch: TorchInstall, major: str, env: Mapping[str, str]) -> Iterator[Path]:
    """The directories that may hold lib/ and include/, best first."""
    sites = dict.fromkeys([torch.root.parent, *(Path(path) for path in sys.path if path)])
    for site in sites:
        for name in (f"cu{major}", "cuda_nvrtc", "cuda_runtime"):
            yield site / "nvidia" / name
    yield torch.root  # wheels for CUDA 11 hold a copy
    conda = Path(sys.prefix)
    # conda's CUDA for Arm servers is in targets/sbsa-linux, for all others in targets/MACHINE-linux
    yield from (conda, *children(conda, "targets/*"))
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if env.get(variable):
            yield Path(env[variable])


def _libraries(root: Path, major: str) -> list[Path]:
    # CUDA 11's is libnvrtc.so.11.2, and torch's own copy libnvrtc-672ee683.so.11.2
    found = [
        path
        for lib in ("lib", "lib64")
        for pattern in (f"libnvrtc.so.{major}*", f"libnvrtc-*.so.{major}*")
        for path in children(root / lib, pattern)
    ]
    return [path for path in found if ".alt." not in path.name and "builtins" not in path.name]
