"""The dataclasses that the probes fill, the checks judge and the builder reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Toolkit:
    """One CUDA toolkit: a directory that holds a real nvcc.

    Attributes:
        root: what `CUDA_HOME` has to be for this toolkit.
        nvcc: the nvcc binary itself, wrapper scripts and symlinks followed.
        version: "13.0", major and minor.
        found_by: where it was met, best first, e.g. ("CUDA_HOME", "PATH: /usr/local/bin/nvcc").
        include: directories with cuda_runtime.h and its companions.
        libraries: directories with libcudart*.
        missing: headers and libraries that a torch extension may want and this toolkit lacks,
            e.g. ("cusparse.h",).
        headers_version: the version that its cuda.h states; it differs from `version` where headers
            and nvcc of two releases were mixed. None if there is no such header.
    """

    root: Path
    nvcc: Path
    version: str
    found_by: tuple[str, ...] = ()
    include: tuple[Path, ...] = ()
    libraries: tuple[Path, ...] = ()
    missing: tuple[str, ...] = ()
    headers_version: str | None = None


@dataclass(frozen=True)
class TorchInstall:
    """An installed torch, read from its files.

    Attributes:
        root: the `torch` package directory.
        version: "2.14.1+cu130", as torch/version.py gives it.
        cuda: "13.0", or None for a CPU-only build.
        cxx11_abi: the value of _GLIBCXX_USE_CXX11_ABI it was built with; None if not known.
        architectures: what its CUDA kernels were compiled for, e.g. ("sm_80", "compute_90").
        installer: "pip", "conda", … as its metadata says; None if not known.
        hip: "6.4", or None if it is no ROCm build.
    """

    root: Path
    version: str
    cuda: str | None
    cxx11_abi: bool | None = None
    architectures: tuple[str, ...] = ()
    installer: str | None = None
    hip: str | None = None


@dataclass(frozen=True)
class Compiler:
    """A host C++ compiler: `kind` is "gcc", "clang" or "msvc"; `version` is "12.2.0"."""

    path: Path
    kind: str
    version: str
    found_by: str = ""
