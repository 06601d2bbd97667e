"""The facts of a machine, as dataclasses: probes fill them, checks judge them, the builder reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Toolkit:
    """One CUDA toolkit: a directory with a real nvcc.

    Attributes:
        root: the value of `CUDA_HOME` for this toolkit.
        nvcc: the nvcc binary itself, behind wrapper scripts and symlinks.
        version: "13.0", major and minor.
        found_by: the places where it was found, best first, e.g. ("CUDA_HOME", "PATH: /usr/local/bin/nvcc").
        include: directories with cuda_runtime.h and its companions.
        libraries: directories with libcudart*.
        missing: headers and libraries that a torch extension may need and this toolkit lacks, e.g. ("cusparse.h",).
        headers_version: the version in its cuda.h, or None without that header. It differs from `version` if headers
            and nvcc of two releases were mixed.
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
class CudaHome:
    """The CUDA_HOME that `torch.utils.cpp_extension` chooses.

    Attributes:
        path: the directory as torch uses it, not resolved.
        taken_from: "CUDA_HOME", "CUDA_PATH", "PATH: /usr/local/bin/nvcc" or "/usr/local/cuda".
        exists: whether it is a directory.
        has_nvcc, has_headers: whether it has bin/nvcc and include/cuda_runtime.h.
        meant: if the directory does not exist, the one that was probably meant.
    """

    path: Path
    taken_from: str
    exists: bool = True
    has_nvcc: bool = True
    has_headers: bool = True
    meant: Path | None = None


@dataclass(frozen=True)
class PackageHeaders:
    """A directory of CUDA headers in a Python package, and those of the needed headers that it has."""

    directory: Path
    headers: tuple[str, ...]
    version: str | None = None


@dataclass(frozen=True)
class TorchInstall:
    """An installed torch, read from its files.

    Attributes:
        root: the `torch` package directory.
        version: "2.14.1+cu130", from torch/version.py.
        cuda: "13.0", or None for a CPU-only build.
        cxx11_abi: the value of _GLIBCXX_USE_CXX11_ABI it was built with; None if not known.
        architectures: the architectures of its CUDA kernels, e.g. ("sm_80", "compute_90").
        installer: "pip", "conda", … from its metadata; None if not known.
        hip: "6.4", or None if it is not a ROCm build.
        channel: its conda channel, e.g. "conda-forge"; None if it is not from conda.
        listable: the names that its cpp_extension accepts in TORCH_CUDA_ARCH_LIST, e.g. ("8.6", "Ampere"), each also
            with "+PTX"; () if they could not be read.
    """

    root: Path
    version: str
    cuda: str | None
    cxx11_abi: bool | None = None
    architectures: tuple[str, ...] = ()
    installer: str | None = None
    hip: str | None = None
    channel: str | None = None
    listable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compiler:
    """A host C++ compiler: `kind` is "gcc", "clang" or "msvc"; `version` is "12.2.0"."""

    path: Path
    kind: str
    version: str
    found_by: str = ""


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU: `capability` is (9, 0); None if its driver did not say."""

    name: str
    capability: tuple[int, int] | None = None
    memory_mib: int | None = None

    @property
    def number(self) -> str:
        """The capability as nvidia-smi and TORCH_CUDA_ARCH_LIST write it: "9.0"; "unknown"."""
        return "{}.{}".format(*self.capability) if self.capability else "unknown"


@dataclass(frozen=True)
class Driver:
    """The NVIDIA driver and its GPUs.

    Attributes:
        version: "535.104.05", from the kernel module or nvidia-smi; None without a driver.
        cuda: "12.2", the newest CUDA that it runs natively, from libcuda. It says nothing about installed toolkits.
        found_by: the sources of these facts, e.g. ("/proc/driver/nvidia/version", "libcuda").
        gpus: the GPUs, for any value of CUDA_VISIBLE_DEVICES.
        devices: the number of NVIDIA display or compute devices on the PCI bus, with or without a driver; None if the
            bus cannot be read.
        problem: the first line of nvidia-smi's or libcuda's error.
        error: the CUresult of libcuda's failed start, e.g. 802.
        mig: the number of GPUs in MIG mode, from nvidia-smi.
    """

    version: str | None = None
    cuda: str | None = None
    found_by: tuple[str, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    devices: int | None = None
    problem: str | None = None
    error: int | None = None
    mig: int = 0


@dataclass(frozen=True)
class Python:
    """The Python environment that the facts are about.

    Attributes:
        version: "3.11.7".
        executable: the interpreter.
        prefix: the environment's directory; `base_prefix` differs from it in a virtual environment.
        on_path: the file of `python`, or else `python3`, on PATH.
        is_active: whether it belongs to the active virtual environment; None if none is active.
        has_headers: whether Python.h exists; None if its place is not known.
        packages: name → version of the installed packages that affect builds.
        ninja: the ninja on PATH.
        hidden_ninja: a ninja in the environment's own bin directory, if PATH has none.
        constraints: pip's constraints, with their source: ("PIP_CONSTRAINT: /x/c.txt", "setuptools<60").
    """

    version: str
    executable: Path
    prefix: Path
    base_prefix: Path
    on_path: Path | None = None
    is_active: bool | None = None
    has_headers: bool | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    ninja: Path | None = None
    hidden_ninja: Path | None = None
    constraints: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PathEntry:
    """One entry of a variable that lists directories.

    Attributes:
        variable: "PATH", "LD_LIBRARY_PATH", "CPATH", …
        text: the entry as it is written.
        exists: whether it is a directory; None if that cannot be determined.
        meant: if the entry does not exist, the existing directory that was probably meant.
        cuda: the version of the toolkit that the directory belongs to.
        has_nvjitlink: whether it has libnvJitLink, which torch's own libraries load by name.
        headers: the CUDA headers in it that torch extensions need.
    """

    variable: str
    text: str
    exists: bool | None
    meant: Path | None = None
    cuda: str | None = None
    has_nvjitlink: bool = False
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """Memory in bytes; `None` where it could not be read.

    Attributes:
        system: "Linux", "Windows", "Darwin".
        architecture: "x86_64", "aarch64".
        distribution: "debian 12", from os-release.
        package_manager: "apt-get", "dnf", …, the one that exists.
        root: whether this process is the superuser.
        sudo_user: the user who called sudo, if any.
        cores: the number of processors that this process may use.
        memory: the memory that it may use, within containers' limits; `swap` comes in addition.
        temporary: the directory of temporary files; `temporary_free` is its free space.
        wsl: whether this is Windows Subsystem for Linux.
        container: "docker", "podman", "kubernetes" …, if this is a container.
        jetson: the release of its system, "R36 (release), REVISION: 4.3", if this is a Jetson.
        secure_boot: whether the firmware allows only signed kernel modules; None if not known.
    """

    system: str = ""
    architecture: str = ""
    distribution: str | None = None
    package_manager: str | None = None
    root: bool = False
    sudo_user: str | None = None
    cores: int | None = None
    memory: int | None = None
    swap: int | None = None
    temporary: Path | None = None
    temporary_free: int | None = None
    wsl: bool = False
    container: str | None = None
    jetson: str | None = None
    secure_boot: bool | None = None


@dataclass(frozen=True)
class JitCache:
    """One directory in which torch builds extensions at run time.

    Attributes:
        path: the extension's own directory.
        lock_idle: seconds since its last change, if it has a lock file; else None.
        writable: whether this user can write it.
    """

    path: Path
    lock_idle: float | None = None
    writable: bool = True


@dataclass(frozen=True)
class Library:
    """A shared library with operators, read from the file.

    Attributes:
        path: the file.
        own: whether it is dcnbuild's.
        readable: whether it is a 64-bit ELF file.
        needed: the names of the libraries that it needs; `missing` are those that cannot be found.
        architectures: the architectures of its GPU code, e.g. ("sm_80", "compute_90").
        python: the CPython of the tag in its file name, e.g. "3.10"; None without a tag.
        undefined: a few of the names that it needs and the installed torch's libraries do not define.
        torch: the torch that it was built for, if its build recorded that and the library works with no other.
    """

    path: Path
    own: bool = False
    readable: bool = True
    needed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    python: str | None = None
    undefined: tuple[str, ...] = ()
    torch: str | None = None


@dataclass(frozen=True)
class Facts:
    """All facts that the checks judge. A fact that was not found is None or empty.

    Attributes:
        toolkits: best first, see `find_toolkits`.
        cuda_home: the CUDA_HOME that torch would choose; None if it would find none.
        package_headers: CUDA headers in the Python environment's packages.
        compilers: see `find_compilers`; `nvcc_compiler` is the one that nvcc would call.
        torch: the torch that `import torch` imports; `shadowed_torches` are others behind it on the path.
        variables: the environment variables that affect builds and are set.
        wanted_torch: the torch that the user wants, e.g. "2.5".
        wants_cuda: whether a build includes CUDA; None if there is no build.
    """

    machine: Machine
    python: Python
    torch: TorchInstall | None = None
    shadowed_torches: tuple[TorchInstall, ...] = ()
    toolkits: tuple[Toolkit, ...] = ()
    cuda_home: CudaHome | None = None
    package_headers: tuple[PackageHeaders, ...] = ()
    driver: Driver = Driver()
    compilers: tuple[Compiler, ...] = ()
    nvcc_compiler: Compiler | None = None
    paths: tuple[PathEntry, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    jit_caches: tuple[JitCache, ...] = ()
    libraries: tuple[Library, ...] = ()
    wanted_torch: str | None = None
    wants_cuda: bool | None = None
