"""Headers that are not on the machine: CUDA's, Python's, the system's and everybody else's."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs.commands import cuda_home
from dcnbuild.doctor.logs.patterns import missing_header
from dcnbuild.doctor.logs.rule import Hit, LogRule

#: Header of the toolkit → its package, as NVIDIA's repositories name it for apt and for conda.
#: Source: the package lists of the "CUDA Installation Guide for Linux".
PACKAGES = {
    "cusparse": ("libcusparse-dev", "libcusparse-dev"),
    "cublas": ("libcublas-dev", "libcublas-dev"),
    "cusolver": ("libcusolver-dev", "libcusolver-dev"),
    "curand": ("libcurand-dev", "libcurand-dev"),
    "cufft": ("libcufft-dev", "libcufft-dev"),
    "nvjpeg": ("libnvjpeg-dev", "libnvjpeg-dev"),
    "npp": ("libnpp-dev", "libnpp-dev"),
    "cuda_profiler_api": ("cuda-profiler-api", "cuda-profiler-api"),
    "cupti": ("cuda-cupti-dev", "cuda-cupti"),
    "nvrtc": ("cuda-nvrtc-dev", "cuda-nvrtc-dev"),
    "nvml": ("cuda-nvml-dev", "cuda-nvml-dev"),
    "nvToolsExt": ("cuda-nvtx", "cuda-nvtx"),
    "nvtx": ("cuda-nvtx", "cuda-nvtx"),
    "thrust/": ("cuda-cccl", "cuda-cccl"),
    "cub/": ("cuda-cccl", "cuda-cccl"),
    "cuda/std": ("cuda-cccl", "cuda-cccl"),
    "nv/": ("cuda-cccl", "cuda-cccl"),
    "crt/": ("cuda-nvcc", "cuda-nvcc"),
    "cuda": ("cuda-cudart-dev", "cuda-cudart-dev"),
}

_CUDA_HEADERS = (
    r"(?:cuda(?:_runtime|_runtime_api|_fp\d+|_bf16|_profiler_api|_occupancy|_device_runtime_api"
    r"|_texture_types|GL|_gl_interop)?\.(?:h|hpp)|cusparse\w*\.h|cublas\w*\.h|cusolver\w*\.h"
    r"|curand\w*\.h|cufft\w*\.h|nvToolsExt\w*\.h|nvtx\d?/[\w./]+|nvrtc\.h|nvml\.h|nvjpeg\.h|npp\w*\.h"
    r"|cupti\w*\.h|crt/[\w.]+|thrust/[\w./]+|cub/[\w./]+|cuda/(?:std/)?[\w./]+|nv/target"
    r"|cooperative_groups[\w./]*|device_launch_parameters\.h|driver_types\.h|vector_types\.h"
    r"|device_functions\.h|host_defines\.h|helper_cuda\.h)"
)

#: Header of something else → the line that brings it.
#: Source: the Debian and Ubuntu packages of these names, and the projects' own build notes.
OTHERS = {
    "glm/": "git submodule update --init --recursive  # or: sudo apt-get install libglm-dev",
    "cutlass/": "git submodule update --init --recursive",
    "cute/": "git submodule update --init --recursive",
    "third_party/": "git submodule update --init --recursive",
    "tiny-cuda-nn/": "git submodule update --init --recursive",
    "pybind11/": "pip install pybind11",
    "numpy/": "pip install numpy",
    "Eigen/": "sudo apt-get install libeigen3-dev",
    "eigen3/": "sudo apt-get install libeigen3-dev",
    "opencv2/": "sudo apt-get install libopencv-dev",
    "boost/": "sudo apt-get install libboost-all-dev",
    "sparsehash/": "sudo apt-get install libsparsehash-dev",
    "google/dense_hash_map": "sudo apt-get install libsparsehash-dev",
    "GL/": "sudo apt-get install libgl1-mesa-dev",
    "EGL/": "sudo apt-get install libegl1-mesa-dev",
    "X11/": "sudo apt-get install libx11-dev",
    "gtest/": "sudo apt-get install libgtest-dev",
    "omp.h": "sudo apt-get install libomp-dev",
    "mpi.h": "sudo apt-get install libopenmpi-dev",
    "nccl.h": "sudo apt-get install libnccl-dev",
    "zlib.h": "sudo apt-get install zlib1g-dev",
    "png.h": "sudo apt-get install libpng-dev",
    "jpeglib.h": "sudo apt-get install libjpeg-dev",
    "ffi.h": "sudo apt-get install libffi-dev",
    "cblas.h": "sudo apt-get install libopenblas-dev",
    "lapacke.h": "sudo apt-get install liblapacke-dev",
    "stdio.h": "sudo apt-get install libc6-dev",
    "stdlib.h": "sudo apt-get install libc6-dev",
    "limits.h": "sudo apt-get install libc6-dev",
    "bits/": "sudo apt-get install libc6-dev",
}


def _package(header: str) -> tuple[str, str]:
    return next(names for start, names in PACKAGES.items() if header.startswith(start))


def _cuda_header_cause(hit: Hit) -> str:
    toolkit, header = hit.get("toolkit"), hit["header"]
    which = f"The CUDA {toolkit} toolkit in use" if toolkit else "The CUDA toolkit in use"
    if header in ("cuda.h", "cuda_runtime.h", "cuda_runtime_api.h"):
        return f"No CUDA toolkit is on the include path of {hit['where']}: {header} is not found."
    return (
        f"{which} has no {header}: it is not a full toolkit (conda's cuda-nvcc, a distribution's "
        "nvcc and a trimmed image lack the libraries' headers), or CUDA_HOME names another one."
    )


def _cuda_header_fix(hit: Hit) -> tuple[str, ...]:
    toolkit, header = hit.get("toolkit"), hit["header"]
    if header.startswith("cu") and header in ("cuda.h", "cuda_runtime.h", "cuda_runtime_api.h"):
        if hit.context.windows:
            return ("where nvcc", *cuda_home(hit, toolkit))
        return (
            "nvcc -dryrun -E -x cu /dev/null 2>&1 | grep TOP=  # the real root of the nvcc on PATH",
            *cuda_home(hit, toolkit),
            'export CPATH="$CUDA_HOME/include${CPATH:+:$CPATH}"',
        )
    apt, conda = _package(header) if not _is_generic(header) else ("cuda-toolkit", "cuda-toolkit")
    if hit.context.conda or hit.context.windows:
        channel = f"nvidia/label/cuda-{toolkit}.0" if toolkit else "nvidia"
        lines: tuple[str, ...] = (f"conda install -c {channel} {conda}",)
    elif toolkit:
        lines = (
            f"sudo apt-get install {apt}-{toolkit.replace('.', '-')}"
            "  # from NVIDIA's package repository",
        )
    else:
        lines = ("nvcc --version", f"apt-cache search '^{apt}'  # install that version's package")
    if toolkit and toolkit.startswith("13."):
        lines += (
            "# or take the headers that torch's own wheel brought, when it is the same version:",
            "export CPATH=\"$(python -c 'import sysconfig; "
            'print(sysconfig.get_path("purelib"))\')/nvidia/cu13/include"',
        )
    return lines


def _is_generic(header: str) -> bool:
    return not any(header.startswith(start) for start in PACKAGES)


def _cudnn_fix(hit: Hit) -> tuple[str, ...]:
    if hit.context.conda:
        return ("conda install -c conda-forge cudnn",)
    major = (hit.get("toolkit") or "").split(".")[0]
    if major in ("12", "13"):
        return (f"sudo apt-get install cudnn9-cuda-{major}  # from NVIDIA's package repository",)
    return ("sudo apt-get install libcudnn8-dev  # from NVIDIA's package repository",)


def _python_header_fix(hit: Hit) -> tuple[str, ...]:
    python = hit.get("python")
    if hit.context.windows:
        return ("# run the Python installer again, Modify, with the development files",)
    if hit.context.conda:
        return (f"conda install python={python or '3'}  # its headers come with it",)
    if python:
        return (
            f"sudo apt-get install python{python}-dev"
            "  # Fedora, RHEL: sudo dnf install python3-devel",
        )
    return ("sudo apt-get install python3-dev  # Fedora, RHEL: sudo dnf install python3-devel",)


def _other_fix(hit: Hit) -> tuple[str, ...]:
    header = hit["header"]
    for start, line in OTHERS.items():
        if header.startswith(start) or f"/{start}" in header:
            return (line,)
    name = re.sub(r"[^\w./+-]", "", header)
    return (
        "git submodule update --init --recursive",
        f"apt-file search /{name}  # which package brings it",
    )


RULES = (
    LogRule(
        id="cuda-header-missing",
        title="A header of CUDA is missing",
        patterns=missing_header(_CUDA_HEADERS),
        unless=r"^-- ",
        cause=_cuda_header_cause,
        fix=_cuda_header_fix,
        example="torch/include/ATen/cuda/CUDAContext.h:6:10: fatal error: cusparse.h: "
        "No such file or directory",
    ),
    LogRule(
        id="cuda-headers-mixed",
        title="Headers of two CUDA releases are mixed",
        patterns=(
            (
                "CUDA toolkit headers are incompatible",
                r"CUDA compiler and CUDA toolkit headers are incompatible",
            ),
        ),
        cause="nvcc and the CUDA headers that it finds are of different releases: CPATH, "
        "CPLUS_INCLUDE_PATH or an -I flag leads to another toolkit.",
        fix=(
            'echo "$CPATH" "$CPLUS_INCLUDE_PATH"',
            "unset CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH",
        ),
        example='cuda/std/__cccl/cuda_toolkit.h:41:6: error: #error "CUDA compiler and CUDA toolkit '
        'headers are incompatible, please check your include paths"',
    ),
    LogRule(
        id="cudnn-header-missing",
        title="cuDNN's headers are missing",
        patterns=missing_header(r"cudnn\w*\.h"),
        cause=lambda hit: (
            f"{hit['where']} includes {hit['header']}, and cuDNN's headers are not "
            "installed (torch's wheels bring the library only)."
        ),
        fix=_cudnn_fix,
        example="torch/include/ATen/cudnn/cudnn-wrapper.h:3:10: fatal error: cudnn.h: "
        "No such file or directory",
    ),
    LogRule(
        id="python-h-missing",
        title="Python's headers are missing",
        patterns=missing_header(r"(?:[Pp]ython|pyconfig|patchlevel)\.h"),
        cause=lambda hit: (
            f"The headers of Python{' ' + hit['python'] if hit['python'] else ''} are not installed: "
            f"{hit['header']} is not found."
        ),
        fix=_python_header_fix,
        example="torch/csrc/python_headers.h:12:10: fatal error: Python.h: No such file or directory",
    ),
    LogRule(
        id="crypt-h-missing",
        title="crypt.h is missing",
        patterns=missing_header(r"crypt\.h"),
        cause="Python.h of this Python includes crypt.h, which the compiler in use does not have "
        "(conda's compiler has its own system headers).",
        fix=lambda hit: (
            (
                "conda install -c conda-forge libxcrypt",
                'export CPATH="$CONDA_PREFIX/include${CPATH:+:$CPATH}"',
            )
            if hit.context.conda
            else ("sudo apt-get install libcrypt-dev",)
        ),
        example="include/python3.8/Python.h:44:10: fatal error: crypt.h: No such file or directory",
    ),
    LogRule(
        id="msvc-sdk-missing",
        title="The Windows SDK is not found",
        patterns=(
            (
                "error C1083",
                r"C1083\s?:.{0,60}?(?P<header>crtdefs|corecrt|stddef|stdio|stdlib|io|float"
                r"|vcruntime|Windows|basetsd|ctype|string|math)\.h",
            ),
            (
                "error LNK1104",
                r"LNK1104.{0,60}?(?P<header>kernel32|ucrt|msvcrt|msvcprt|libcpmt)\.lib",
            ),
        ),
        cause="cl.exe runs without the paths of the Windows SDK and the C runtime.",
        fix=(
            '"%ProgramFiles(x86)%\\Microsoft Visual Studio\\Installer\\vs_installer.exe"'
            "  & rem add: Desktop development with C++, Windows SDK",
            "rem then build in the x64 Native Tools Command Prompt, with:",
            "set DISTUTILS_USE_SDK=1",
        ),
        example="C:\\Python38\\include\\pyconfig.h(59): fatal error C1083: Cannot open include file: "
        "'io.h': No such file or directory",
    ),
    LogRule(
        id="header-missing",
        title="A header is missing",
        patterns=(
            *missing_header(r"[\w./+-]{2,120}\.(?:h|hpp|cuh|hxx|inl|inc)"),
            ("fatal error: ", r"fatal error: (?P<header>(?:[\w.+-]+/)+\w+): No such file"),
        ),
        cause=lambda hit: (
            f"{hit['where']} includes {hit['header']}, which is not on this machine or "
            "not on the include path."
        ),
        fix=_other_fix,
        example="cuda_rasterizer/forward.h:18:10: fatal error: glm/glm.hpp: No such file or directory",
    ),
)
