"""CMake: what it does not find, and what it is too old or too new for."""

from __future__ import annotations

from dcnbuild.doctor.logs import known
from dcnbuild.doctor.logs.commands import cuda_home
from dcnbuild.doctor.logs.rule import Level, LogRule

RULES = (
    LogRule(
        id="cmake-torch-not-found",
        title="CMake does not find torch",
        patterns=(
            (
                "Could not find a package",
                r"Could not find a package configuration file provided by \"Torch\"",
            ),
        ),
        cause="CMake does not know where torch is.",
        fix=(
            "cmake -DCMAKE_PREFIX_PATH=\"$(python -c 'import torch; "
            "print(torch.utils.cmake_prefix_path)')\" .",
        ),
        example='  Could not find a package configuration file provided by "Torch" with any of the '
        "following names:",
    ),
    LogRule(
        id="nvtoolsext-missing",
        title="This torch looks for the nvToolsExt of old",
        patterns=(("nvToolsExt", r"CUDA::nvToolsExt"),),
        unless=r"^-- ",
        cause="torch's CMake files ask for nvToolsExt, which CUDA 12.9 and 13 no longer have and "
        "which the toolkit in use lacks.",
        fix=(
            "pip install --upgrade torch  # newer ones no longer ask for it",
            "# or a toolkit that has it: conda install -c nvidia/label/cuda-12.4.0 cuda-toolkit",
        ),
        example='  The link interface of target "torch::nvtoolsext" contains: CUDA::nvToolsExt '
        "but the target was not found.",
    ),
    LogRule(
        id="cmake-architectures",
        title="CMake has no CUDA architectures",
        patterns=(
            (
                "CUDA_ARCHITECTURES",
                r"CUDA_ARCHITECTURES (?:is empty|must be (?:non-empty|set|valid))",
            ),
        ),
        unless=r"Policy CMP0104|\(dev\)",
        cause="CMAKE_CUDA_ARCHITECTURES is empty, or names what CMake does not take.",
        fix=lambda hit: (
            "cmake -DCMAKE_CUDA_ARCHITECTURES="
            + known.arch_list(hit.get("toolkit"))
            .replace(".", "")
            .replace("+PTX", "")
            .replace(";", "\\;")
            + " .",
        ),
        example="  CMAKE_CUDA_ARCHITECTURES must be non-empty if set.",
    ),
    LogRule(
        id="cmake-too-new",
        title="CMake 4 refuses the project's old policy",
        patterns=(
            (
                "Compatibility with CMake",
                r"Compatibility with CMake < (?P<version>\d\.\d+) has been removed",
            ),
        ),
        cause="The project asks for the rules of a CMake older than {version}, which CMake 4 no "
        "longer follows.",
        fix=("export CMAKE_POLICY_VERSION_MINIMUM={version}", '# or: pip install "cmake<4"'),
        example="  Compatibility with CMake < 3.5 has been removed from CMake.",
    ),
    LogRule(
        id="cmake-too-old",
        title="CMake is too old",
        patterns=(
            (
                "or higher is required",
                r"CMake (?P<wanted>\d[\d.]*) or higher is required\.\s+You are running version "
                r"(?P<have>\d[\d.]*\d)",
            ),
        ),
        cause="The project needs CMake {wanted}, and this is {have}.",
        fix=('pip install --upgrade "cmake>={wanted}"', "hash -r && cmake --version"),
        example="  CMake 3.18 or higher is required.  You are running version 3.10.2",
    ),
    LogRule(
        id="cmake-cuda-compiler",
        title="CMake cannot use nvcc",
        level=Level.SYMPTOM,
        patterns=(
            ("ailed to detect a default CUDA", r"Failed to detect a default CUDA architecture"),
            ("is not able to compile", r"is not able to compile a simple test program"),
            ("CMakeCUDACompilerId.cu", r"CMakeCUDACompilerId\.cu\\?\" failed"),
            ("CUDA compiler identification", r"The CUDA compiler identification is unknown"),
        ),
        cause="nvcc, as CMake calls it, compiles nothing: it is a wrapper or incomplete, or its host "
        "compiler does not run.",
        fix=lambda hit: (
            *cuda_home(hit, hit.get("toolkit")),
            'export CUDACXX="$CUDA_HOME/bin/nvcc" CUDAHOSTCXX="$(command -v g++)"',
            "rm -rf build  # CMake remembers the failure",
        ),
        example="  Failed to detect a default CUDA architecture.",
    ),
    LogRule(
        id="cmake-missing",
        title="CMake is not installed",
        patterns=(
            ("not found", r"(?:sh: (?:\d+: )?|^)cmake: (?:command )?not found"),
            ("No such file", r"No such file or directory: '?cmake'?(?![/\w])"),
            ("CMake must be installed", r"CMake must be installed"),
        ),
        cause="The build runs cmake, which is not installed.",
        fix=('pip install "cmake<4"',),
        example="FileNotFoundError: [Errno 2] No such file or directory: 'cmake'",
    ),
)
