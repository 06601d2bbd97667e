"""What can stop a build or leave the CUDA half out, said as findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from dcnbuild.doctor.finding import Finding
from dcnbuild.environment.facts import Compiler, Toolkit, TorchInstall


def torch_missing(prefix: Path) -> Finding:
    return Finding(
        id="torch-missing",
        severity="error",
        title="no torch",
        cause="dcnbuild compiles against the torch of its Python environment, and there is none.",
        evidence=(f"looked in {prefix} and in this interpreter's sys.path",),
        fix=("pip install torch",),
    )


def torch_too_old(version: str, requirement: str) -> Finding:
    return Finding(
        id="torch-too-old",
        severity="error",
        title="torch is too old",
        cause=f"this dcnbuild is compiled against {requirement}, and the environment has {version}.",
        evidence=(f"torch {version}",),
        fix=(f"pip install '{requirement}'",),
    )


def compiler_missing(variable: str | None = None) -> Finding:
    """No C++ compiler; `variable` is "CXX=clang++-19" where the user named one that is not there."""
    what = f"{variable} names no C++ compiler" if variable else "there is none on PATH"
    return Finding(
        id="compiler-missing",
        severity="error",
        title="no C++ compiler",
        cause=f"the kernels are compiled on this machine, which needs a C++ compiler, and {what}.",
        evidence=(f"looked for {variable or 'CXX, c++, g++ and clang++'}",),
        fix=("unset CXX",) if variable else ("apt-get install g++",),
    )


def cuda_off(variable: str) -> Finding:
    return Finding(
        id="cuda-off",
        severity="note",
        title="CUDA is switched off",
        cause=f"{variable} leaves the CUDA kernels out.",
    )


def torch_without_cuda(torch: TorchInstall) -> Finding:
    kind = f"for ROCm {torch.hip}" if torch.hip else "for the CPU only"
    return Finding(
        id="torch-cpu-only",
        severity="note",
        title="torch without CUDA",
        cause=f"torch {torch.version} was built {kind}, so there is nothing to run CUDA kernels with.",
        evidence=(f"torch {torch.version} in {torch.root}",),
        fix=("pip install --force-reinstall torch",),
    )


def toolkit_missing(torch: TorchInstall, looked_at: Iterable[str] = ()) -> Finding:
    major = (torch.cuda or "").split(".")[0]
    return Finding(
        id="toolkit-missing",
        severity="warning",
        title="no CUDA toolkit",
        cause=f"torch {torch.version} has CUDA {torch.cuda}, and no nvcc was found to compile for it.",
        evidence=(
            "looked in CUDA_HOME, CUDA_PATH, PATH, this environment's packages, CONDA_PREFIX, "
            "/usr/local/cuda*, /opt/cuda and /usr/lib/nvidia-cuda-toolkit",
            *looked_at,
        ),
        fix=(
            f"install a CUDA {major}.x toolkit, then: export CUDA_HOME=/usr/local/cuda-{torch.cuda}",
        ),
    )


def cuda_mismatch(torch: TorchInstall, toolkits: Sequence[Toolkit]) -> Finding:
    major = (torch.cuda or "").split(".")[0]
    return Finding(
        id="cuda-mismatch",
        severity="warning",
        title="CUDA toolkit of another major version",
        cause=f"torch {torch.version} has CUDA {torch.cuda}, which needs a {major}.x toolkit.",
        evidence=tuple(
            f"CUDA {toolkit.version} in {toolkit.root} ({', '.join(toolkit.found_by)})"
            for toolkit in toolkits
        ),
        fix=(
            f"install a CUDA {major}.x toolkit, then: export CUDA_HOME=/usr/local/cuda-{torch.cuda}",
        ),
    )


def toolkit_incomplete(toolkits: Sequence[Toolkit], needed: Iterable[str]) -> Finding:
    return Finding(
        id="toolkit-incomplete",
        severity="warning",
        title="incomplete CUDA toolkit",
        cause=f"compiling the CUDA kernels needs {', '.join(needed)}, and some of it is missing.",
        evidence=tuple(
            f"{toolkit.root} lacks {', '.join(toolkit.missing)}" for toolkit in toolkits
        ),
        fix=("install the toolkit whole, or point CUDA_HOME at one that is",),
    )


def no_common_architecture(torch: TorchInstall, toolkit: Toolkit) -> Finding:
    return Finding(
        id="no-common-architecture",
        severity="warning",
        title="no GPU architecture in common",
        cause=f"CUDA {toolkit.version} compiles for none of the architectures of torch {torch.version}.",
        evidence=(f"torch: {' '.join(torch.architectures)}", f"toolkit: {toolkit.root}"),
        fix=("export TORCH_CUDA_ARCH_LIST=9.0  # your GPU's compute capability",),
    )


def bad_arch_list(text: str, reason: str) -> Finding:
    return Finding(
        id="arch-list-unknown",
        severity="error",
        title="TORCH_CUDA_ARCH_LIST cannot be compiled for",
        cause=reason,
        evidence=(f"TORCH_CUDA_ARCH_LIST={text}",),
        fix=("unset TORCH_CUDA_ARCH_LIST",),
    )


def build_failed(what: str, first_error: str, log: Path | None) -> Finding:
    return Finding(
        id="build-failed",
        severity="error",
        title=f"compiling {what} failed",
        cause=first_error,
        evidence=(f"full log: {log}",) if log else (),
        fix=(f"dcnbuild doctor --log {log}",) if log else (),
    )


def host_compiler_too_new(
    toolkit: Toolkit, newest_gcc: int | None, compilers: Sequence[Compiler]
) -> Finding:
    return Finding(
        id="gcc-too-new",
        severity="warning",
        title="the C++ compiler is too new for the CUDA toolkit",
        cause=f"nvcc {toolkit.version} accepts gcc up to {newest_gcc}, and nothing older was found.",
        evidence=tuple(
            f"{compiler.kind} {compiler.version}: {compiler.path}" for compiler in compilers
        ),
        fix=(
            f"apt-get install g++-{newest_gcc}",
            f"export CC=gcc-{newest_gcc} CXX=g++-{newest_gcc}",
        ),
    )
