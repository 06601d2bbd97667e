"""What --check compiles with: the torch of this Python, its compiler, and a CUDA toolkit that fits."""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dcnbuild.base.plain_yaml import beside
from dcnbuild.base.versions import numbers
from dcnbuild.builder.plan import CudaPlan, choose_compiler, plan_cuda
from dcnbuild.doctor.checks import preflight
from dcnbuild.errors import Finding, FindingError
from dcnbuild.machine.architectures import capability, gencode_flags
from dcnbuild.machine.collect import collect
from dcnbuild.machine.facts import Compiler, TorchInstall
from dcnbuild.port.build_flags import BuildFlags

_FLAGS = beside(__file__, "toolchain.yaml")


@dataclass(frozen=True)
class Toolchain:
    """The tools of a check.

    Attributes:
        torch: the torch whose headers are used.
        compiler: the C++ compiler.
        cuda: toolkit, architectures and host compiler, or the finding that says why not.
        environment: the variables that compilers and setup.py run with.
        added: those of them that decide about the build and that the user had not set.
        front_end: whether compilers stop before they generate code, which takes a third of the time.
    """

    torch: TorchInstall
    compiler: Compiler
    cuda: CudaPlan | Finding
    environment: Mapping[str, str]
    added: Mapping[str, str] = field(default_factory=dict)
    front_end: bool = False


def find_toolchain(env: Mapping[str, str], executable: Path, at_once: int) -> Toolchain:
    """The tools at hand.

    Args:
        env: the environment variables.
        executable: the Python whose torch counts, and which runs setup.py.
        at_once: how many compilers setup.py may start.

    Raises FindingError where there is no torch or no C++ compiler.
    """
    facts = collect(env)
    for finding in preflight(facts, wants_cuda=False):
        if finding.severity == "error":
            raise FindingError(finding)
    assert facts.torch is not None  # or torch-missing has stopped it
    torch, compiler = facts.torch, choose_compiler(facts)
    cuda = plan_cuda(facts, torch, compiler, "auto")
    variables = {
        **env,
        "MAX_JOBS": str(at_once),
        "PATH": f"{executable.parent}:{env.get('PATH', '')}",  # where its ninja is
        "FORCE_CUDA": "1" if isinstance(cuda, CudaPlan) else "0",
    }
    if isinstance(cuda, CudaPlan):
        variables["CUDA_HOME"] = str(cuda.toolkit.root)
        variables.setdefault("TORCH_CUDA_ARCH_LIST", ".".join(map(str, capability(cuda.architectures[0]))))
        if cuda.toolkit.missing:  # torch's own packages hold the headers of its libraries
            more = map(str, sorted(torch.root.parent.glob("nvidia/*/include")))
            variables["CPATH"] = ":".join([*more, *filter(None, [env.get("CPATH")])])
    decide = ("CUDA_HOME", "CPATH", "TORCH_CUDA_ARCH_LIST", "FORCE_CUDA")
    added = {n: variables[n] for n in decide if n in variables and variables[n] != env.get(n)}
    return Toolchain(torch, compiler, cuda, variables, added)


def compile_command(
    tools: Toolchain, source: Path, output: Path, includes: Sequence[Path], flags: BuildFlags
) -> list[str]:
    """The command that compiles one source to an object, as torch's own builds would.

    Args:
        tools: for a .cu file with a CudaPlan.
        source, output: the files.
        includes: directories of the project.
        flags: of the project's build scripts.
    """
    torch = numbers(tools.torch.version)
    standard = next(standard for since, standard in _FLAGS["standards"].items() if torch >= numbers(since))
    include = tools.torch.root / "include"
    system = (include, include / "torch/csrc/api/include", sysconfig.get_paths()["include"])
    common = [
        *(f"-I{path}" for path in includes),
        *(word for path in system for word in ("-isystem", str(path))),
        *(f"-D{macro}" for macro in (*_FLAGS["macros"], *flags.macros)),
        f"-std=c++{standard}",
    ]
    made = ["-c", str(source), "-o", str(output)]
    if source.suffix == ".cu" and isinstance(tools.cuda, CudaPlan):
        host = ["-ccbin", str(tools.cuda.host.path)] if tools.cuda.host else []
        one = gencode_flags(tools.cuda.architectures[:1])  # whether a source compiles hangs on no more
        more = [*_FLAGS["nvcc"], *flags.nvcc, *one, "-Xcompiler", "-fPIC"]
        made = ["--cuda", "-fdevice-syntax-only", *made[1:]] if tools.front_end else made
        return [str(tools.cuda.toolkit.nvcc), *host, *more, *common, *made]
    toolkit = tools.cuda.toolkit.include if isinstance(tools.cuda, CudaPlan) else ()  # nvcc has its own
    within = [f"-isystem{path}" for path in toolkit]
    made = ["-fsyntax-only", str(source)] if tools.front_end else made
    return [str(tools.compiler.path), "-fPIC", *within, *common, *made]
