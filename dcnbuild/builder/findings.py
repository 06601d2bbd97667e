"""Findings that stop our own build or leave CUDA out, besides those of the doctor's checks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dcnbuild.doctor.fixes import ask_gpus, dcnbuild, pip_install, unset_env
from dcnbuild.doctor.fixes.fix import Target
from dcnbuild.errors import Finding
from dcnbuild.machine.facts import Toolkit, TorchInstall


def torch_too_old(version: str, requirement: str) -> Finding:
    """A torch that no flavour supports."""
    return Finding(
        id="torch-too-old",
        severity="error",
        title="torch is too old",
        cause=f"dcnbuild needs {requirement}, and the environment has {version}.",
        evidence=(f"torch {version}",),
        fix=pip_install(requirement).lines(Target()),
    )


def cxx_missing(named: str | None) -> Finding:
    """The C++ compiler that CXX names, or a default one, does not exist."""
    return Finding(
        id="compiler-missing",
        severity="error",
        title="No C++ compiler",
        cause=f"CXX={named} names no C++ compiler that runs."
        if named
        else "No C++ compiler was found, so nothing can be compiled here.",
        evidence=() if named else ("looked for c++, g++, clang++ and g++-N on PATH",),
        fix=unset_env("CXX").lines(Target()) if named else (),
    )


def cuda_off() -> Finding:
    """The user has set DCNBUILD_CUDA=off."""
    return Finding(
        id="cuda-off",
        severity="note",
        title="CUDA is switched off",
        cause="DCNBUILD_CUDA=off leaves the CUDA kernels out.",
    )


def static_runtime_missing(toolkit: Toolkit) -> Finding:
    """The static CUDA runtime is missing. The library links it, so that it needs no NVIDIA library."""
    return Finding(
        id="toolkit-incomplete",
        severity="error",
        title="The CUDA toolkit lacks files",
        cause=f"The kernels are linked with libcudart_static.a, which {toolkit.root} lacks.",
        evidence=(f"missing: {', '.join(toolkit.missing)}",),
    )


def no_common_architecture(torch: TorchInstall, toolkit: Toolkit) -> Finding:
    """torch and the toolkit have no GPU architecture in common."""
    return Finding(
        id="no-common-architecture",
        severity="error",
        title="No GPU architecture in common",
        cause=f"CUDA {toolkit.version} compiles for none of the architectures of torch {torch.version}.",
        evidence=(f"torch: {' '.join(torch.architectures)}", f"toolkit: {toolkit.root}"),
        fix=ask_gpus().lines(Target()),
    )


def build_failed(what: str, first_error: str, log: Path | None) -> Finding:
    """The compiler's first error; the file `log` has the whole output, if it could be written."""
    return Finding(
        id="build-failed",
        severity="error",
        title=f"compiling {what} failed",
        cause=first_error,
        evidence=(f"full log: {log}",) if log else (),
        fix=dcnbuild("doctor", "--log", operands=(log,)).lines(Target()) if log else (),
    )


def no_place(what: str, reasons: str) -> Finding:
    """Neither the user's cache nor a temporary directory can hold a loadable library."""
    return Finding(
        id="no-cache-directory",
        severity="error",
        title=f"no directory to keep {what} in",
        cause="A directory is needed that only you can write, and in which programs may run.",
        evidence=tuple(reasons.split("; ")),
        fix=("export DCNBUILD_CACHE=/a/directory/of/yours",),
    )


def does_not_load(what: str, path: Path, said: str) -> Finding:
    """The loader refuses a library that was just built here; `said` is its message."""
    return Finding(
        id="library-does-not-load",
        severity="error",
        title=f"{what} were compiled and cannot be loaded",
        cause=said,
        evidence=(f"library: {path}",),
        fix=("dcnbuild doctor",),
    )


def no_nvrtc(reason: str) -> Finding:
    """The compiler of kernels, or a header that they include, has gone since it was looked for."""
    return Finding(
        id="nvrtc-missing",
        severity="error",
        title="No NVRTC to compile GPU kernels with",
        cause=f"{reason}.",
        fix=("dcnbuild info",),
    )


def kernel_failed(what: str, version: str, log: str) -> Finding:
    """NVRTC's first error; the rest of its log is evidence."""
    lines = log.splitlines()
    first = next((line for line in lines if "error" in line), lines[0] if lines else "")
    return Finding(
        id="kernel-failed",
        severity="error",
        title=f"NVRTC {version} did not compile {what}",
        cause=first,
        evidence=tuple(lines[:20]),
        fix=("dcnbuild build --cuda on", "dcnbuild doctor"),
    )


def gpu_too_old(capability: int, oldest: int) -> Finding:
    """A GPU that torch's NVRTC has left behind, as torch itself has."""
    return Finding(
        id="gpu-too-old",
        severity="error",
        title="The GPU is too old for torch's NVRTC",
        cause=f"It has compute capability {capability / 10}, and NVRTC compiles for {oldest / 10} and newer.",
        fix=ask_gpus().lines(Target()),
    )


def no_library(library: str, rejected: Iterable[tuple[str, str]]) -> Finding:
    """No attempt gave a library that loads; `rejected` has (attempt, reason) for each."""
    return Finding(
        id="no-library",
        severity="error",
        title=f"no library with kernels for {library}",
        cause="none of the ways to one led anywhere.",
        evidence=tuple(f"{attempt}: {reason}" for attempt, reason in rejected),
        fix=("unset DCNBUILD_ROUTE", "dcnbuild info", "dcnbuild build"),
    )
