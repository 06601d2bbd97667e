"""What is built from what: pure decisions over the probes' facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from dcnbuild import compatibility
from dcnbuild.architectures import parse_arch_list
from dcnbuild.builder import findings
from dcnbuild.builder.flavour import Flavour, flavour_of
from dcnbuild.doctor.finding import Finding, FindingError
from dcnbuild.environment.compilers import nvcc_host_compiler
from dcnbuild.environment.facts import Compiler, Toolkit, TorchInstall
from dcnbuild.versions import numbers

CudaMode = Literal["auto", "on", "off"]

#: What compiling our CUDA half takes of a toolkit; the rest of what a toolkit may lack is not used.
NEEDED = ("cuda_runtime.h", "crt/host_config.h", "libcudart_static.a", "cicc", "ptxas")


@dataclass(frozen=True)
class CudaPlan:
    """How the CUDA library is compiled; `host` as in `commands.library_steps`."""

    toolkit: Toolkit
    architectures: tuple[str, ...]
    host: Compiler | None


@dataclass(frozen=True)
class BuildPlan:
    """How both libraries are compiled; with no `cuda`, `cuda_left_out` says why."""

    torch: TorchInstall
    flavour: Flavour
    compiler: Compiler
    cuda: CudaPlan | None
    cuda_left_out: Finding | None


def cuda_mode(env: Mapping[str, str]) -> CudaMode:
    """What DCNBUILD_CUDA says, "auto" if it is not set. Raises ValueError for anything else."""
    text = env.get("DCNBUILD_CUDA") or "auto"
    mode: CudaMode
    for mode in get_args(CudaMode):
        if text.lower() == mode:
            return mode
    raise ValueError(f"DCNBUILD_CUDA is {text!r}, expected auto, on or off")


def plan_build(
    torch: TorchInstall,
    toolkits: Sequence[Toolkit],
    compilers: Sequence[Compiler],
    env: Mapping[str, str],
    mode: CudaMode,
) -> BuildPlan:
    """Decides flavour, compilers, toolkit and architectures.

    Args:
        torch: what to compile against.
        toolkits: as `find_toolkits` found them, best first.
        compilers: as `find_compilers` found them, best first.
        env: the environment variables.
        mode: "on" needs the CUDA half, "auto" makes it where that is possible.

    Raises FindingError if nothing can be built, or no CUDA half with mode "on".
    """
    flavour = flavour_of(torch.version)
    compiler = choose_compiler(compilers, env)
    cuda = plan_cuda(torch, toolkits, compilers, compiler, env, mode)
    if isinstance(cuda, CudaPlan):
        return BuildPlan(torch, flavour, compiler, cuda, None)
    if mode == "on":
        raise FindingError(cuda)
    return BuildPlan(torch, flavour, compiler, None, cuda)


def choose_compiler(compilers: Sequence[Compiler], env: Mapping[str, str]) -> Compiler:
    """The C++ compiler that CXX names, else the first on PATH. Raises FindingError without one."""
    if env.get("CXX"):
        named = [compiler for compiler in compilers if compiler.found_by == "CXX"]
        if not named:
            raise FindingError(findings.compiler_missing(f"CXX={env['CXX']}"))
        return named[0]
    for compiler in compilers:
        if _compiles_cxx(compiler) and compiler.found_by == "PATH":
            return compiler
    raise FindingError(findings.compiler_missing())


def plan_cuda(
    torch: TorchInstall,
    toolkits: Sequence[Toolkit],
    compilers: Sequence[Compiler],
    compiler: Compiler,
    env: Mapping[str, str],
    mode: CudaMode,
) -> CudaPlan | Finding:
    """How to compile the CUDA half, or why it cannot be.

    Raises FindingError for a TORCH_CUDA_ARCH_LIST that cannot be read: that is a mistake in any mode.
    """
    if mode == "off":
        return findings.cuda_off("DCNBUILD_CUDA=off")
    if torch.cuda is None:
        return findings.torch_without_cuda(torch)
    if not toolkits:
        return findings.toolkit_missing(torch)
    matching = [
        toolkit for toolkit in toolkits if numbers(toolkit.version)[:1] == numbers(torch.cuda)[:1]
    ]
    if not matching:
        return findings.cuda_mismatch(torch, toolkits)
    complete = [toolkit for toolkit in matching if not set(toolkit.missing) & set(NEEDED)]
    if not complete:
        return findings.toolkit_incomplete(matching, NEEDED)
    toolkit = complete[0]
    architectures = choose_architectures(torch, toolkit, env)
    if not architectures:
        return findings.no_common_architecture(torch, toolkit)
    host = choose_host(toolkit, compilers, compiler, env)
    if isinstance(host, Finding):
        return host
    return CudaPlan(toolkit, architectures, host)


def choose_architectures(
    torch: TorchInstall, toolkit: Toolkit, env: Mapping[str, str]
) -> tuple[str, ...]:
    """What TORCH_CUDA_ARCH_LIST asks for; unset, what torch and the toolkit share, with PTX.

    Raises FindingError if the variable names what is no architecture, or none that this toolkit knows.
    """
    text = env.get("TORCH_CUDA_ARCH_LIST", "").strip()
    if not text:
        return tuple(compatibility.common_architectures(torch.architectures, toolkit.version))
    try:
        names = parse_arch_list(text)
    except ValueError as error:
        raise FindingError(findings.bad_arch_list(text, str(error))) from error
    unknown = [name for name in names if compatibility.compiles_for(toolkit.version, name) is False]
    if unknown:
        reason = f"CUDA {toolkit.version} in {toolkit.root} does not know {', '.join(unknown)}"
        raise FindingError(findings.bad_arch_list(text, reason))
    return names


def choose_host(
    toolkit: Toolkit,
    compilers: Sequence[Compiler],
    compiler: Compiler,
    env: Mapping[str, str],
) -> Compiler | Finding | None:
    """The host compiler to give to nvcc: what the user named, else the newest default that it accepts.

    None where NVCC_PREPEND_FLAGS or NVCC_APPEND_FLAGS names one: a second -ccbin would fight with it.
    """
    flags = f"{env.get('NVCC_PREPEND_FLAGS', '')} {env.get('NVCC_APPEND_FLAGS', '')}"
    if "-ccbin" in flags or "--compiler-bindir" in flags:
        return None
    if env.get("CC") or env.get("NVCC_CCBIN"):
        named = nvcc_host_compiler(env, compilers)
        candidates = [named] if named else [compiler]
    else:
        candidates = [compiler, *(other for other in compilers if _compiles_cxx(other))]
    for candidate in candidates:
        newest = compatibility.newest_compiler(toolkit.version, candidate.kind)
        if newest is None or numbers(candidate.version)[0] <= newest:
            return candidate
    newest_gcc = compatibility.newest_compiler(toolkit.version, "gcc")
    return findings.host_compiler_too_new(toolkit, newest_gcc, candidates)


def _compiles_cxx(compiler: Compiler) -> bool:
    """Whether this is the C++ driver: `gcc` compiles C++ too, but links without its library."""
    return "++" in compiler.path.name
