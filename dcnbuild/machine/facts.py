"""The dataclasses that the probes fill, the checks judge and the builder reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
class CudaHome:
    """The CUDA_HOME that `torch.utils.cpp_extension` settles on.

    Attributes:
        path: the directory as torch would use it, not resolved.
        taken_from: "CUDA_HOME", "CUDA_PATH", "PATH: /usr/local/bin/nvcc" or "/usr/local/cuda".
        exists: whether it is a directory.
        has_nvcc, has_headers: whether bin/nvcc and include/cuda_runtime.h are there.
        meant: for a directory that does not exist, the one that was probably meant.
    """

    path: Path
    taken_from: str
    exists: bool = True
    has_nvcc: bool = True
    has_headers: bool = True
    meant: Path | None = None


@dataclass(frozen=True)
class PackageHeaders:
    """A directory of CUDA headers in a Python package, with the wanted ones that it holds."""

    directory: Path
    headers: tuple[str, ...]
    version: str | None = None


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
        channel: the conda channel it came from, e.g. "conda-forge"; None if it did not.
        listable: the names that its cpp_extension accepts in TORCH_CUDA_ARCH_LIST, e.g. ("8.6",
            "Ampere"), each also with "+PTX"; () if they could not be read.
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


@dataclass(frozen=True)
class Driver:
    """The NVIDIA driver and what it drives.

    Attributes:
        version: "535.104.05", of the kernel module or as nvidia-smi tells it; None without one.
        cuda: "12.2", the newest CUDA that it runs natively, as libcuda tells it. It says nothing
            about toolkits that are installed.
        found_by: where this was read, e.g. ("/proc/driver/nvidia/version", "libcuda").
        gpus: the GPUs, whatever CUDA_VISIBLE_DEVICES says.
        devices: how many NVIDIA display or compute devices are on the PCI bus, with a driver or
            not; None where the bus cannot be read.
        problem: what nvidia-smi or libcuda complained of, first line.
        error: the CUresult with which libcuda refused to start, e.g. 802.
        mig: how many GPUs are in MIG mode, as nvidia-smi tells it.
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
        on_path: what `python`, or else `python3`, on PATH is.
        is_active: whether it belongs to the active virtual environment; None if none is active.
        has_headers: whether Python.h is there; None if its place is not known.
        packages: name → version of the installed packages that bear on builds.
        ninja: the ninja on PATH.
        hidden_ninja: a ninja in the environment's own bin directory while none is on PATH.
        constraints: what pip is told to constrain: ("PIP_CONSTRAINT: /x/c.txt", "setuptools<60").
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
        text: the entry as it stands there.
        exists: whether it is a directory; None if that could not be found out.
        meant: the existing directory that was probably meant, where the entry does not exist.
        cuda: the version of the toolkit whose directory it is.
        has_nvjitlink: whether libnvJitLink is in it, which torch's own libraries look for by name.
        headers: the CUDA headers that torch extensions want and that are in it.
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
        package_manager: "apt-get", "dnf", …, whichever is there.
        root: whether this process is the superuser.
        sudo_user: who called sudo, if somebody did.
        cores: the processors that this process may use.
        memory: what it may use in all, and `swap` beside it; containers' limits are respected.
        temporary: the directory of temporary files, `temporary_free` the space left there.
        wsl: whether this is Windows Subsystem for Linux.
        container: "docker", "podman", "kubernetes" …, if this is one.
        jetson: the release of its system, "R36 (release), REVISION: 4.3", if this is one.
        secure_boot: whether the firmware loads signed kernel modules only; None if it did not say.
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
        lock_idle: seconds since anything in it changed, if it holds a lock file; else None.
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
        readable: whether it is a 64-bit ELF file at all.
        needed: the libraries it asks for by name, and `missing` those of them that are nowhere.
        architectures: the GPU code inside it, e.g. ("sm_80", "compute_90").
        python: the CPython that its file name is tagged for, e.g. "3.10"; None without a tag.
        undefined: names it needs that the installed torch's libraries do not define, a few of them.
        torch: the torch that it was built for, where its builder noted that down and the library
            works with no other.
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
    """All that the checks judge. What was not found is None or empty.

    Attributes:
        toolkits: best first, see `find_toolkits`.
        cuda_home: the CUDA_HOME that torch would settle on; None if it would find none.
        package_headers: CUDA headers that the Python environment's packages bring.
        compilers: see `find_compilers`; `nvcc_compiler` is the one that nvcc would call.
        torch: the torch that `import torch` gets; `shadowed_torches` are others behind it.
        variables: the environment variables that change builds and are set.
        wanted_torch: the torch that the user asks for, e.g. "2.5".
        wants_cuda: whether CUDA code is to be built; None if nothing is built just now.
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
