"""Sorts the doctor's findings into the sections of docs/findings.md, by words of their ids and titles."""

from __future__ import annotations

import re

#: Section → what an id or a title of it holds; of the sections that match, the first has the finding.
_WORDS = {
    "Windows": r"^(windows|msvc|visual-studio|dll|paging|pyd|distutils-use|file-in-use|blocked-by)|Windows|cl\.exe",
    "AMD, Apple, Intel and others": r"^(rocm|mps-device|xcode|code-signature|no-cuda-on-mac)|ROCm|accelerator",
    "Containers, WSL and clusters": r"container|docker|cluster|^job-|mpirun|wsl|notebook-|^cdi-|scheduler|module-unknown|shared-memory",
    "Driver and GPU": r"driver|fabric|^mig|^gpu-|^nccl|vgpu|open-kernel|mps-server|device-ordinal|forward-compat"
    r"|not-initialised|ptx-toolchain|unknown-error|^nvml|^graphics",
    "GPU code in what was built": r"kernel-image|gpu-code|(?<!wrong-)arch|no-gpu|in-toolkit|in-library|invalid-device|jetson"
    r"|flash-attention|no-cpu-kernel|^not-compiled|no-binary",
    "CMake and ninja": r"cmake|ninja",
    "git, downloads and system packages": r"^(git|lfs|submodule|apt|rust|cargo|fortran|network|certificate|damaged)"
    r"|^(tool|http|package-files|autoconf|configure)-|module of this name",
    "pip, conda and setuptools": r"pip|conda|setuptools|requirement|uninstall|metadata|pkg-resources|distutils|wheel"
    r"|^(version-|package-|other-package|externally|build-isolation|not-a-project|setup-not-run|extension-not-built|unknown-option)"
    r"|build-dep|^installer-|^build-refused",
    "torch and torchvision": r"torch|triton|checkpoint|weights|audio|operator",
    "Running kernels and models": r"device-|no-display|opencv|^(cuda-error|cuda-forked|kernel-crash|launch|library-status|missing-dtype)"
    r"|batch-not|half-|engine-of|trt-plugin|variable-required|registered-twice|extension-twice|legacy-autograd|wrong-signature|nvrtc",
    "Sources older than torch or CUDA": r"^(th-|thc|at-check|type-dispatch|cuda-api|cuda-header-removed|cccl|cub-own)"
    r"|atomic|nvtx|mixed-types|numpy|name-clash|source-encoding|missing-include|cxx-removed|python-api",
    "CUDA toolkit and nvcc": r"cuda|nvcc|nvvm|ptxas|toolkit|cudnn|nvtools|extended-lambda|host-device|kernel-in-cpp"
    r"|glibc-too-new",
    "C++ compilers": r"^(gcc|clang|compile|compiler-cache|cxx-|c-standard|assembler|cpu-instructions|header-|crypt|python-h|warning-as|lto)"
    r"|same-object|output-directory|source-missing|file-missing",
    "Linking and loading libraries": r"librar|^(glibc|link|lib|undefined|multiple|not-pic|relocation|openmp|mkl|no-init)"
    r"|cxxabi|wrong-architecture|illegal|preload|protobuf",
    "Memory, disk, paths and permissions": r"memory|disk|space|permission|file-system|system-refuses|path|lock|limit|too-many|port-in-use|jit-cache",
    "Python": r"python|module|venv|circular|user-site|sudo|variable-missing|argument-",
}
LAST = "Other failures"
SECTIONS = (*_WORDS, LAST)


def section(id: str, title: str) -> str:
    """Returns the section of a finding; its id counts before its title."""
    for text in (id, title):
        for name, words in _WORDS.items():
            if re.search(words, text):
                return name
    return LAST
