"""Makes the compile and link commands of both routes, by a pure function of the facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dcnbuild.builder.flags import CUDA_RUNTIME, CXX_FLAGS, LINK_FLAGS, NVCC_FLAGS, NVRTC_FLAGS
from dcnbuild.builder.flavour import Flavour
from dcnbuild.builder.sources import Library, library_file, library_sources
from dcnbuild.machine.architectures import gencode_flags
from dcnbuild.machine.facts import Compiler, Toolkit, TorchInstall


@dataclass(frozen=True)
class Step:
    """One command: `output` is relative to the build directory, in which it runs."""

    output: str
    inputs: tuple[str, ...]
    command: tuple[str, ...]
    depfile: str | None = None


def library_steps(
    library: Library,
    csrc: Path,
    torch: TorchInstall,
    flavour: Flavour,
    compiler: Compiler,
    toolkit: Toolkit | None = None,
    architectures: Iterable[str] = (),
    host: Compiler | None = None,
    threads: int = 1,
) -> tuple[Step, ...]:
    """Returns the commands that make one library; the last links it.

    Args:
        library: "cpu", "nvrtc", or "cuda", which needs a toolkit and architectures.
        csrc: the sources.
        torch: the torch to compile against.
        flavour: its interface.
        compiler: compiles C++ and links.
        toolkit: compiles CUDA.
        architectures: nvcc's names, PTX included ("sm_90", "compute_90").
        host: nvcc's host compiler; None leaves the choice to nvcc and its variables.
        threads: the number of architectures that one nvcc compiles at once.
    """
    includes = (f"-I{csrc}", "-isystem", str(torch.root / "include"))
    # Messages with __FILE__ then say csrc/..., and do not name this machine's directories.
    relative = (
        f"-fmacro-prefix-map={csrc}=csrc",
        f"-fmacro-prefix-map={torch.root.parent}=site-packages",
    )
    if library != "cuda":
        compile_command: tuple[str, ...] = (
            *(str(compiler.path), *flavour.flags, *CXX_FLAGS, *relative),
            *(NVRTC_FLAGS if library == "nvrtc" else ()),
            *includes,
        )
        runtime: tuple[str, ...] = ()
    else:
        if toolkit is None:
            raise ValueError("the CUDA library needs a toolkit, got None")
        compile_command = (
            *(str(toolkit.nvcc), *flavour.flags, *NVCC_FLAGS),
            *(f"-Xcompiler={flag}" for flag in relative),
            *(("-ccbin", str(host.path)) if host else ()),
            *gencode_flags(architectures),
            f"--threads={threads}",
            *includes,
        )
        runtime = (*(f"-L{path}" for path in toolkit.libraries), *CUDA_RUNTIME)
    compiles = []
    for source in library_sources(csrc, library):
        name = source.relative_to(csrc).as_posix().replace("/", "_")
        compiles.append(
            Step(
                output=f"{name}.o",
                inputs=(str(source),),
                command=(
                    *(*compile_command, "-MD", "-MF", f"{name}.d"),
                    *("-c", str(source), "-o", f"{name}.o"),
                ),
                depfile=f"{name}.d",
            )
        )
    objects = tuple(step.output for step in compiles)
    link = Step(
        output=library_file(library),
        inputs=objects,
        command=(
            *(str(compiler.path), *LINK_FLAGS, *objects, "-o", library_file(library)),
            f"-L{torch.root / 'lib'}",
            *(f"-l{name}" for name in flavour.link[library]),
            *runtime,
        ),
    )
    return (*compiles, link)
