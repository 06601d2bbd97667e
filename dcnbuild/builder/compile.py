"""Compiles one library of a plan into a directory, and describes it. Both routes use this module."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from dcnbuild._version import __version__
from dcnbuild.builder.ninjafile import Progress, jobs, run_steps
from dcnbuild.builder.plan import BuildPlan, CudaMode, plan_build
from dcnbuild.builder.record import BuildRecord, LibraryRecord, file_digest
from dcnbuild.builder.sources import (
    Artifact,
    Library,
    csrc_dir,
    library_file,
    library_sources,
    source_hash,
)
from dcnbuild.builder.steps import Step, library_steps
from dcnbuild.machine.collect import collect
from dcnbuild.machine.facts import TorchInstall


def plan_here(torch: TorchInstall | None, env: Mapping[str, str], mode: CudaMode) -> BuildPlan:
    """Returns the plan for this machine and this torch. Raises FindingError like `plan_build`."""
    if torch is not None:
        # pip's CUDA packages lie beside torch; in build isolation, this interpreter does not see them.
        env = {**env, "PYTHONPATH": f"{torch.root.parent}:{env.get('PYTHONPATH', '')}"}
    return plan_build(collect(env, torch=torch), mode)


def compile_library(
    library: Library,
    plan: BuildPlan,
    directory: Path,
    env: Mapping[str, str],
    progress: Progress,
) -> tuple[LibraryRecord, str]:
    """Compiles the sources that are out of date; returns the library's record and the build's output.

    The library is `directory / library_file(library)`. Raises CompileError, or OSError if the directory cannot be
    written.
    """
    csrc = csrc_dir()
    at_once = jobs(env)
    # nvcc takes most of the time, once for each architecture, and there are too few .cu files for all cores
    threads = max(1, at_once // len(library_sources(csrc, library))) if library == "cuda" else 1
    steps = plan_steps(library, plan, csrc, threads)
    before = source_hash(csrc, library)
    output = run_steps(directory, steps, env, at_once // threads, progress)
    path = directory / library_file(library)
    cuda = plan.cuda if library == "cuda" else None
    record = LibraryRecord(
        source_hash=before,
        size=path.stat().st_size,
        digest=file_digest(path),
        architectures=cuda.architectures if cuda else (),
        commands=portable_commands(steps, plan, csrc),
        toolkit=f"CUDA {cuda.toolkit.version}" if cuda else None,
    )
    return record, output


def plan_steps(library: Library, plan: BuildPlan, csrc: Path, threads: int = 1) -> tuple[Step, ...]:
    """Returns the commands of one library of a plan. The CUDA library needs a plan with CUDA."""
    common = (library, csrc, plan.torch, plan.flavour, plan.compiler)
    if library != "cuda":
        return library_steps(*common)
    if plan.cuda is None:
        raise ValueError("this plan leaves CUDA out")
    cuda = plan.cuda
    return library_steps(*common, cuda.toolkit, cuda.architectures, cuda.host, threads)


def portable_commands(steps: Iterable[Step], plan: BuildPlan, csrc: Path) -> tuple[str, ...]:
    """Returns the commands without this machine's directories: equal builds on two machines give equal records."""
    names = {str(csrc): "csrc", str(plan.torch.root.parent): "site-packages"}
    names[str(plan.compiler.path)] = plan.compiler.path.name
    if plan.cuda:
        names[str(plan.cuda.toolkit.nvcc)] = plan.cuda.toolkit.nvcc.name
        names[str(plan.cuda.toolkit.root)] = "cuda"
        names |= {str(path): f"cuda/{path.name}" for path in plan.cuda.toolkit.libraries}
        if plan.cuda.host:
            names[str(plan.cuda.host.path)] = plan.cuda.host.path.name
    longest_first = sorted(names, key=len, reverse=True)
    pattern = re.compile("|".join(rf"{re.escape(name)}(?![\w.+-])" for name in longest_first))
    return tuple(
        shlex.join(pattern.sub(lambda match: names[match[0]], word) for word in step.command) for step in steps
    )


def record_of(plan: BuildPlan, libraries: Mapping[Artifact, LibraryRecord]) -> BuildRecord:
    """Returns the build.json of libraries that this plan made."""
    left_out = plan.cuda_left_out
    return BuildRecord(
        dcnbuild=__version__,
        flavour=plan.flavour.name,
        torch=plan.torch.version,
        torch_cuda=plan.torch.cuda,
        torch_cxx11_abi=plan.torch.cxx11_abi,
        compiler=f"{plan.compiler.kind} {plan.compiler.version} ({plan.compiler.path.name})",
        libraries=dict(libraries),
        cuda_left_out=f"{left_out.title}: {left_out.cause}" if left_out else None,
    )


def describe(library: Library, plan: BuildPlan) -> str:
    """Describes in a few words what is compiled, for progress lines and errors."""
    if library == "nvrtc":
        return "the host half of the CUDA kernels (NVRTC compiles each kernel on first use)"
    if library == "cpu" or plan.cuda is None:
        return "the CPU kernels"
    return f"the CUDA kernels (CUDA {plan.cuda.toolkit.version}: {' '.join(plan.cuda.architectures)})"
