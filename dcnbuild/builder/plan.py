"""Plans a build, by pure decisions over the facts of a machine.

The doctor's checks judge the obstacles, so that a build stops with the same finding as the doctor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from dcnbuild.base.versions import numbers
from dcnbuild.builder import findings
from dcnbuild.builder.flavour import STABLE, Flavour, flavour_of
from dcnbuild.builder.sources import Library
from dcnbuild.doctor.checks import preflight
from dcnbuild.errors import Finding, FindingError
from dcnbuild.machine import compatibility
from dcnbuild.machine.architectures import parse_arch_list, sorted_names
from dcnbuild.machine.facts import Compiler, Facts, Toolkit, TorchInstall
from dcnbuild.machine.toolkit_choice import build_toolkit, fitting_toolkits

CudaMode = Literal["auto", "on", "off"]

#: The parts of a toolkit that compiling our CUDA sources needs.
NEEDED = frozenset({"cuda_runtime.h", "crt/host_config.h", "libcudart_static.a", "cicc", "ptxas"})


@dataclass(frozen=True)
class CudaPlan:
    """How to compile the CUDA library; `host` as in `steps.library_steps`."""

    toolkit: Toolkit
    architectures: tuple[str, ...]
    host: Compiler | None


@dataclass(frozen=True)
class BuildPlan:
    """How to compile both libraries; without `cuda`, `cuda_left_out` says why.

    `notes` lists the user's wishes that the plan does not follow.
    """

    torch: TorchInstall
    flavour: Flavour
    compiler: Compiler
    cuda: CudaPlan | None
    cuda_left_out: Finding | None
    notes: tuple[str, ...] = ()

    @property
    def libraries(self) -> tuple[Library, ...]:
        """What an installation gets: the host half of the route "nvrtc" too, even where this torch has no CUDA."""
        off = self.cuda_left_out is not None and self.cuda_left_out.id == "cuda-off"
        nvrtc = self.flavour.name == STABLE.name and not off and not self.torch.hip
        wanted: dict[Library, bool] = {"cpu": True, "cuda": bool(self.cuda), "nvrtc": nvrtc}
        return tuple(library for library, is_wanted in wanted.items() if is_wanted)


def cuda_mode(env: Mapping[str, str]) -> CudaMode:
    """Returns the value of DCNBUILD_CUDA, "auto" if it is not set. Raises ValueError for an unknown value."""
    text = env.get("DCNBUILD_CUDA") or "auto"
    mode: CudaMode
    for mode in get_args(CudaMode):
        if text.lower() == mode:
            return mode
    raise ValueError(f"DCNBUILD_CUDA is {text!r}, expected auto, on or off")


def plan_build(facts: Facts, mode: CudaMode) -> BuildPlan:
    """Decides flavour, compilers, toolkit and architectures.

    Args:
        facts: the facts of this machine, with the torch to build against.
        mode: "on" requires the CUDA library, "auto" builds it if possible.

    Raises FindingError if nothing can be built, or with mode "on" if the CUDA library cannot be built.
    """
    _stop(preflight(facts, wants_cuda=False))
    torch = facts.torch
    assert torch is not None  # otherwise the finding torch-missing has been raised
    flavour = flavour_of(torch)
    compiler = choose_compiler(facts)
    cuda = plan_cuda(facts, torch, compiler, mode)
    if isinstance(cuda, CudaPlan):
        return BuildPlan(torch, flavour, compiler, cuda, None, _notes(facts, cuda.toolkit))
    if mode == "on":
        raise FindingError(cuda)
    return BuildPlan(torch, flavour, compiler, None, cuda)


def _notes(facts: Facts, chosen: Toolkit) -> tuple[str, ...]:
    """Says which toolkit replaces the one that a variable names."""
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        named = facts.variables.get(variable)
        if not named or variable in chosen.found_by:
            continue
        there = [toolkit for toolkit in facts.toolkits if variable in toolkit.found_by]
        why = (
            f"is CUDA {there[0].version}, which does not go with this torch or lacks files"
            if there
            else "has no nvcc that works"
        )
        return (f"{variable}={named} {why}; the CUDA {chosen.version} in {chosen.root} is used instead",)
    return ()


def _stop(found: list[Finding]) -> None:
    for finding in found:
        if finding.severity == "error":
            raise FindingError(finding)


def choose_compiler(facts: Facts) -> Compiler:
    """Returns the C++ compiler that CXX names, else the first on PATH. Raises FindingError without one."""
    named = facts.variables.get("CXX")
    for compiler in facts.compilers:
        # `gcc` compiles C++ too, but does not link the C++ library
        if compiler.found_by == "CXX" or (not named and _is_default_cxx(compiler)):
            return compiler
    raise FindingError(findings.cxx_missing(named))


def _is_default_cxx(compiler: Compiler) -> bool:
    return compiler.found_by == "PATH" and "++" in compiler.path.name


def plan_cuda(facts: Facts, torch: TorchInstall, compiler: Compiler, mode: CudaMode) -> CudaPlan | Finding:
    """Returns how to compile the CUDA library, or the finding that prevents it.

    Raises FindingError in any mode if TORCH_CUDA_ARCH_LIST names an architecture that cannot be compiled.
    """
    if mode == "off":
        return findings.cuda_off()
    toolkit = choose_toolkit(facts)
    host = choose_host(facts, toolkit, compiler)
    judged = replace(
        facts,
        toolkits=(toolkit,) if toolkit else (),
        nvcc_compiler=host or facts.nvcc_compiler,
    )
    obstacles = [finding for finding in preflight(judged, wants_cuda=True) if finding.severity == "error"]
    if obstacles:
        if obstacles[0].id == "arch-list-unknown":
            raise FindingError(obstacles[0])
        return obstacles[0]
    assert toolkit is not None  # otherwise toolkit-missing is an obstacle
    if "libcudart_static.a" in toolkit.missing:
        return findings.static_runtime_missing(toolkit)
    architectures = choose_architectures(facts, torch, toolkit)
    if not architectures:
        return findings.no_common_architecture(torch, toolkit)
    return CudaPlan(toolkit, architectures, host)


def choose_toolkit(facts: Facts) -> Toolkit | None:
    """Returns the first complete toolkit of torch's CUDA major version, else the nearest incomplete one."""
    complete = [item for item in fitting_toolkits(facts) if not NEEDED & set(item.missing)]
    return complete[0] if complete else build_toolkit(facts)


def choose_architectures(facts: Facts, torch: TorchInstall, toolkit: Toolkit) -> tuple[str, ...]:
    """Returns TORCH_CUDA_ARCH_LIST's architectures; if it is unset, those that torch and the toolkit share, with PTX.

    "native" means this machine's GPUs.
    """
    text = facts.variables.get("TORCH_CUDA_ARCH_LIST", "").strip()
    gpus = [gpu.capability for gpu in facts.driver.gpus if gpu.capability]
    if text == "native" and gpus:
        return sorted_names(f"sm_{major}{minor}" for major, minor in gpus)
    if text and text != "native":
        return parse_arch_list(text)
    return tuple(compatibility.common_architectures(torch.architectures, toolkit.version))


def choose_host(facts: Facts, toolkit: Toolkit | None, compiler: Compiler) -> Compiler | None:
    """Returns the host compiler for nvcc: the one that the user named, else the first default that nvcc accepts.

    Returns None if nvcc already has one, by its flags or (Debian) by a gcc beside it: a second -ccbin would conflict.
    If nvcc accepts none, returns the default, which the checks then judge.
    """
    flags = [facts.variables.get(f"NVCC_{where}_FLAGS", "") for where in ("PREPEND", "APPEND")]
    if any("-ccbin" in text or "--compiler-bindir" in text for text in flags):
        return None
    if facts.variables.get("CC") or facts.variables.get("NVCC_CCBIN"):
        return facts.nvcc_compiler or compiler
    if facts.nvcc_compiler and facts.nvcc_compiler.found_by == "beside nvcc":
        return None
    for candidate in (compiler, *filter(_is_default_cxx, facts.compilers)):
        version = toolkit.version if toolkit else ""
        newest = compatibility.newest_compiler(version, candidate.kind)
        if newest is None or numbers(candidate.version)[0] <= newest:
            return candidate
    return compiler
