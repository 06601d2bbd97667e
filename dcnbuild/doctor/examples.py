"""A machine in good order, and for each check a machine that it finds something on.

docs/findings.md is written from these, and the tests hold the checks to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dcnbuild.machine.facts import (
    Compiler,
    CudaHome,
    Driver,
    Facts,
    Gpu,
    JitCache,
    Library,
    Machine,
    PathEntry,
    Python,
    Toolkit,
    TorchInstall,
)

_ENVIRONMENT = Path("/home/ada/venv")
_SITE = _ENVIRONMENT / "lib/python3.11/site-packages"


def toolkit(version: str, *found_by: str) -> Toolkit:
    """A complete toolkit in /usr/local/cuda-<version>."""
    root = Path(f"/usr/local/cuda-{version}")
    return Toolkit(
        root=root,
        nvcc=root / "bin/nvcc",
        version=version,
        found_by=found_by or (f"PATH: {root}/bin/nvcc", str(root)),
        include=(root / "include",),
        libraries=(root / "lib64",),
        headers_version=version,
    )


def torch(version: str, cuda: str | None, *architectures: str, **fields: Any) -> TorchInstall:
    """A torch from pip."""
    install = TorchInstall(_SITE / "torch", version, cuda, True, architectures, "pip")
    return replace(install, **fields)


def gcc(version: str, name: str = "g++", found_by: str = "PATH") -> Compiler:
    """A gcc in /usr/bin."""
    return Compiler(Path("/usr/bin", name), "gcc", version, found_by)


def gpu_driver(version: str, cuda: str, *gpus: Gpu) -> Driver:
    """A driver at work, by default with one RTX 4090."""
    found_by = ("/proc/driver/nvidia/version", "libcuda")
    return Driver(version, cuda, found_by, gpus or (RTX_4090,), devices=len(gpus) or 1)


RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", (8, 9), 24564)
RTX_5090 = Gpu("NVIDIA GeForce RTX 5090", (12, 0), 32607)
V100 = Gpu("Tesla V100-SXM2-16GB", (7, 0), 16384)
A100 = Gpu("NVIDIA A100-SXM4-80GB", (8, 0), 81920)
_CU130 = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
_CU121 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")

HEALTHY = Facts(
    machine=Machine(
        system="Linux",
        architecture="x86_64",
        distribution="ubuntu 24.04",
        package_manager="apt-get",
        cores=16,
        memory=64 << 30,
        swap=8 << 30,
        temporary=Path("/tmp"),
        temporary_free=200 << 30,
    ),
    python=Python(
        version="3.11.9",
        executable=_ENVIRONMENT / "bin/python",
        prefix=_ENVIRONMENT,
        base_prefix=Path("/usr"),
        on_path=_ENVIRONMENT / "bin/python",
        is_active=True,
        has_headers=True,
        packages={"setuptools": "80.9.0", "numpy": "2.2.6", "pip": "25.3", "ninja": "1.13.0"},
        ninja=_ENVIRONMENT / "bin/ninja",
    ),
    torch=torch("2.14.1+cu130", "13.0", *_CU130),
    toolkits=(toolkit("13.0", "CUDA_HOME", "PATH: /usr/local/cuda-13.0/bin/nvcc"),),
    cuda_home=CudaHome(Path("/usr/local/cuda-13.0"), "CUDA_HOME"),
    driver=gpu_driver("580.95.05", "13.0"),
    compilers=(gcc("13.3.0"), gcc("13.3.0", "gcc")),
    nvcc_compiler=gcc("13.3.0", "gcc"),
    paths=(
        PathEntry("PATH", str(_ENVIRONMENT / "bin"), True),
        PathEntry("PATH", "/usr/local/cuda-13.0/bin", True, cuda="13.0"),
        PathEntry("PATH", "/usr/bin", True),
        PathEntry("LD_LIBRARY_PATH", "/usr/local/cuda-13.0/lib64", True, None, "13.0"),
    ),
    variables={
        "CUDA_HOME": "/usr/local/cuda-13.0",
        "SHELL": "/bin/bash",
        "HOME": "/home/ada",
        "VIRTUAL_ENV": str(_ENVIRONMENT),
    },
)


def _variables(**variables: str) -> Mapping[str, str]:
    return {**HEALTHY.variables, **variables}


def _machine(**fields: Any) -> Machine:
    return replace(HEALTHY.machine, **fields)


def _python(**fields: Any) -> Python:
    return replace(HEALTHY.python, **fields)


def _broken(**fields: Any) -> Facts:
    return replace(HEALTHY, **fields)


def _library(**fields: Any) -> Facts:
    return _broken(libraries=(replace(Library(Path("build/_C.so")), **fields),))


_ON_PATH = CudaHome(Path("/usr/local/cuda-11.8"), "PATH: /usr/local/cuda-11.8/bin/nvcc")
_SMALL = HEALTHY.toolkits[0]

#: check id → facts that it judges.
EXAMPLES: dict[str, Facts] = {
    "driver-mismatch": _broken(
        driver=Driver(
            "580.82.07",
            devices=1,
            problem="Failed to initialize NVML: Driver/library version mismatch",
        )
    ),
    "driver-missing": _broken(driver=Driver(devices=1)),
    "gpu-missing": _broken(driver=Driver(devices=0)),
    "driver-too-old": _broken(driver=gpu_driver("535.104.05", "12.2")),
    "driver-older-than-toolkit": _broken(
        torch=torch("2.5.1+cu121", "12.1", *_CU121),
        toolkits=(toolkit("13.0", "CUDA_HOME"),),
        driver=gpu_driver("535.104.05", "12.2"),
    ),
    "container-without-gpu": _broken(
        machine=_machine(container="docker"), driver=Driver("580.95.05", devices=1)
    ),
    "wsl-without-gpu": _broken(machine=_machine(wsl=True), driver=Driver()),
    "cuda-not-initialised": _broken(
        driver=Driver("580.95.05", "13.0", ("libcuda",), devices=8, error=802)
    ),
    "mig-without-instance": _broken(
        driver=Driver("580.95.05", "13.0", ("libcuda", "nvidia-smi"), (A100,), devices=1, mig=1)
    ),
    "gpu-hidden": _broken(variables=_variables(CUDA_VISIBLE_DEVICES="-1")),
    "torch-missing": _broken(torch=None),
    "torch-cpu-only": _broken(torch=torch("2.14.1+cpu", None)),
    "torch-for-rocm": _broken(torch=torch("2.8.0+rocm6.4", None, hip="6.4")),
    "torch-from-conda": _broken(
        torch=torch("2.5.1", "12.1", *_CU121, installer="conda", channel="pytorch")
    ),
    "torch-shadowed": _broken(
        torch=torch("2.4.1+cu121", "12.1", root=Path("/home/ada/.local/lib/python3.11/torch")),
        shadowed_torches=(HEALTHY.torch,) if HEALTHY.torch else (),
    ),
    "numpy2-old-torch": _broken(torch=torch("2.1.2+cu121", "12.1", *_CU121)),
    "torchvision-stale": _broken(
        python=_python(packages={**HEALTHY.python.packages, "torchvision": "0.20.1"})
    ),
    "setuptools-old-python": _broken(
        python=_python(version="3.12.4", packages={"setuptools": "65.5.0"})
    ),
    "setuptools-old-torch": _broken(
        torch=torch("2.0.1+cu117", "11.7"), python=_python(packages={"setuptools": "82.0.0"})
    ),
    "torch-never-existed": _broken(wanted_torch="1.16"),
    "torch-not-for-this-machine": _broken(wanted_torch="1.6"),
    "cuda-home-wrong": _broken(
        cuda_home=CudaHome(
            Path("/usr/local/cuda-13"),
            "CUDA_HOME",
            exists=False,
            has_nvcc=False,
            has_headers=False,
        )
    ),
    "cuda-home-unset": _broken(cuda_home=None, toolkits=(toolkit("13.0", "/usr/local/cuda-13.0"),)),
    "cuda-home-guess": _broken(
        cuda_home=CudaHome(
            Path("/usr/local"), "PATH: /usr/local/bin/nvcc", has_nvcc=True, has_headers=False
        ),
        toolkits=(toolkit("13.0", "PATH: /usr/local/bin/nvcc"),),
    ),
    "cuda-home-disagrees": _broken(
        toolkits=(toolkit("13.0", "CUDA_HOME"), toolkit("12.4", "PATH: /usr/bin/nvcc")),
        paths=(PathEntry("PATH", "/usr/bin", True),),
    ),
    "toolkits-shadowed": _broken(
        cuda_home=_ON_PATH, toolkits=(toolkit("11.8"), toolkit("13.0", "/usr/local/cuda-13.0"))
    ),
    "toolkit-missing": _broken(toolkits=(), cuda_home=None),
    "cuda-mismatch": _broken(
        toolkits=(toolkit("11.8"),), cuda_home=_ON_PATH, driver=gpu_driver("580.95.05", "13.0")
    ),
    "cuda-minor-mismatch": _broken(toolkits=(toolkit("13.2", "CUDA_HOME"),)),
    "toolkit-incomplete": _broken(
        toolkits=(replace(_SMALL, missing=("cusparse.h", "cusolverDn.h")),)
    ),
    "cuda-headers-mixed": _broken(
        toolkits=(
            replace(
                toolkit("13.2", "CUDA_HOME"),
                root=_SITE / "nvidia/cu13",
                nvcc=_SITE / "nvidia/cu13/bin/nvcc",
                include=(_SITE / "nvidia/cu13/include",),
                headers_version="13.0",
            ),
        )
    ),
    "gpu-not-in-torch": _broken(
        torch=torch("2.5.1+cu124", "12.4", *_CU121),
        driver=gpu_driver("580.95.05", "13.0", RTX_5090),
    ),
    "gpu-not-in-toolkit": _broken(driver=gpu_driver("580.95.05", "13.0", V100)),
    "arch-list-unknown": _broken(variables=_variables(TORCH_CUDA_ARCH_LIST="7.0;8.6+PTX")),
    "arch-list-unknown-to-torch": _broken(
        torch=torch(
            "2.5.1+cu124", "12.4", *_CU121, listable=("7.5", "8.0", "8.6", "8.9", "9.0", "Ampere")
        ),
        toolkits=(toolkit("12.8", "CUDA_HOME"),),
        variables=_variables(TORCH_CUDA_ARCH_LIST="8.9;12.0"),
    ),
    "arch-list-misses-gpu": _broken(variables=_variables(TORCH_CUDA_ARCH_LIST="9.0")),
    "arch-list-empty": _broken(driver=Driver(devices=0)),
    "compiler-missing": _broken(compilers=(), nvcc_compiler=None),
    "compiler-variable-wrong": _broken(variables=_variables(CXX="/opt/gcc-9/bin/g++")),
    "gcc-too-new": _broken(
        torch=torch("2.5.1+cu121", "12.1", *_CU121),
        toolkits=(toolkit("12.1", "CUDA_HOME"),),
        compilers=(gcc("13.3.0"), gcc("13.3.0", "gcc"), gcc("12.4.0", "g++-12")),
    ),
    "gcc-too-old": _broken(compilers=(gcc("8.5.0"),), nvcc_compiler=gcc("8.5.0", "gcc")),
    "compilers-differ": _broken(
        compilers=(gcc("13.3.0", "g++-13", "CXX"), gcc("11.4.0", "gcc-11", "CC"))
    ),
    "ninja-missing": _broken(python=_python(ninja=None)),
    "python-h-missing": _broken(python=_python(has_headers=False)),
    "venv-mismatch": _broken(
        python=_python(is_active=False, executable=Path("/usr/bin/python3"), prefix=Path("/usr"))
    ),
    "sudo-python": _broken(
        machine=_machine(root=True, sudo_user="ada"),
        python=_python(executable=Path("/usr/bin/python3"), prefix=Path("/usr")),
    ),
    "pip-constraint": _broken(
        python=_python(constraints=(("PIP_CONSTRAINT: /etc/constraints.txt", "torch==2.5.1"),))
    ),
    "path-missing": _broken(
        paths=(
            PathEntry("PATH", "/usr/local/cuda-10.1/bin", True, cuda="10.1"),
            PathEntry(
                "LD_LIBRARY_PATH",
                "/usr/lcoal/cuda-10.1/lib64",
                False,
                Path("/usr/local/cuda-10.1/lib64"),
            ),
        )
    ),
    "preload-missing": _broken(
        paths=(*HEALTHY.paths, PathEntry("LD_PRELOAD", "/usr/lib/libtcmalloc.so.4", False))
    ),
    "paths-mix-toolkits": _broken(
        paths=(
            PathEntry("PATH", "/usr/local/cuda-13.0/bin", True, cuda="13.0"),
            PathEntry("LD_LIBRARY_PATH", "/usr/local/cuda-11.8/lib64", True, cuda="11.8"),
        )
    ),
    "cpath-other-toolkit": _broken(
        paths=(PathEntry("CPATH", "/usr/local/cuda-12.4/include", True, cuda="12.4"),)
    ),
    "libraries-older-than-torch": _broken(
        torch=torch("2.5.1+cu124", "12.4", *_CU121),
        toolkits=(toolkit("12.1", "CUDA_HOME"),),
        paths=(
            PathEntry(
                "LD_LIBRARY_PATH",
                "/usr/local/cuda-12.1/lib64",
                True,
                None,
                "12.1",
                has_nvjitlink=True,
            ),
        ),
    ),
    "too-many-jobs": _broken(machine=_machine(memory=8 << 30, swap=0)),
    "disk-full": _broken(machine=_machine(temporary_free=20 << 20)),
    "jit-lock": _broken(
        torch=torch("2.5.1+cu124", "12.4", *_CU121),
        jit_caches=(
            JitCache(Path("/home/ada/.cache/torch_extensions/py311_cu124/fused"), 86400.0),
        ),
    ),
    "jit-cache-not-writable": _broken(
        jit_caches=(JitCache(Path("/tmp/torch_extensions"), None, writable=False),)
    ),
    "library-unreadable": _library(readable=False),
    "library-other-python": _library(
        path=Path("_C.cpython-310-x86_64-linux-gnu.so"), python="3.10"
    ),
    "library-other-torch": _library(
        undefined=(
            "_ZN3c106detail14torchCheckFailEPKcS2_jRKSs",
            "_ZN2at4_ops5zeros4callEN3c108ArrayRefINS2_6SymIntEEE",
        )
    ),
    "library-needs-missing": _library(
        needed=("libcudart.so.11.0",), missing=("libcudart.so.11.0",)
    ),
    "gpu-not-in-library": _library(architectures=("sm_70", "sm_75")),
    "dcnbuild-cpu-only": _library(path=_SITE / "dcnbuild/lib/libdcnbuild.so", own=True),
}
