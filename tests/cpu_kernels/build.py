"""Compiles the CPU's inner kernels and their checks into one program, for this machine or for aarch64; needs no torch.

    python tests/cpu_kernels/build.py [aarch64]

runs it at every level, and prints what it says.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

# ruff: noqa: E402  run as a script, this finds dcnbuild in the checkout
from dcnbuild.builder.flags import CXX_FLAGS
from dcnbuild.builder.ninjafile import jobs, run_steps
from dcnbuild.builder.steps import Step
from dcnbuild.machine.locking import locked


@dataclass(frozen=True)
class Target:
    """A kind of CPU: what compiles for it, what runs its programs, and the levels that it can have."""

    compiler: str
    emulator: tuple[str, ...]
    levels: tuple[str, ...]
    packages: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """The program that is not on PATH, and the package that has it; None if all are there."""
        needed = (shlex.split(self.compiler)[0], *self.emulator[:1])
        for program, package in zip(needed, self.packages):
            if shutil.which(program) is None:
                return f"no {program} on PATH: apt-get install {package}"
        return None


#: The levels of isa.cpp, by machine.
LEVELS = {
    "x86_64": ("generic", "avx2", "avx512", "avx512bf16", "amx", "amx_fp16"),
    "aarch64": ("generic", "neon", "neon_bf16"),
}
TARGETS = {
    "here": Target(os.environ.get("CXX", "c++"), (), LEVELS.get(os.uname().machine, ("generic",))),
    "aarch64": Target(
        "aarch64-linux-gnu-g++",
        ("qemu-aarch64-static", "-cpu", "max"),
        LEVELS["aarch64"],
        ("g++-aarch64-linux-gnu", "qemu-user-static"),
    ),
}


def build(target: Target, directory: Path) -> Path:
    """Returns the program, compiled into a directory; compiles what has changed since."""
    steps = []
    for source in (*sorted((ROOT / "csrc/common/cpu").glob("*.cpp")), *sorted(HERE.glob("*.cpp"))):
        # The kernels as they are shipped; the checks' own sums without contraction.
        own = ("-O1", "-ffp-contract=off", "-Wall", "-Wextra") if source.parent == HERE else CXX_FLAGS
        name = source.name
        command = (
            *(*shlex.split(target.compiler), "-std=c++17", *own, f"-I{ROOT / 'csrc'}"),
            *("-MD", "-MF", f"{name}.d", "-c", str(source), "-o", f"{name}.o"),
        )
        steps.append(Step(f"{name}.o", (str(source),), command, f"{name}.d"))
    objects = tuple(step.output for step in steps)
    link = (*shlex.split(target.compiler), "-static", *objects, "-o", "checks")
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory / "lock"):
        run_steps(
            directory,
            [*steps, Step("checks", objects, link)],
            os.environ,
            jobs(os.environ),
            lambda finished, total: None,
        )
    return directory / "checks"


def run(target: Target, program: Path, level: str) -> subprocess.CompletedProcess[str]:
    """Runs the checks of one level; main.cpp says what the status means."""
    return subprocess.run(
        [*target.emulator, str(program)],
        env={**os.environ, "DCNBUILD_CPU_ISA": level},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def main(name: str = "here") -> int:
    target = TARGETS[name]
    if missing := target.missing():
        print(missing)
        return 2
    program = build(target, ROOT / "build" / "cpu_kernels" / name)
    done = [run(target, program, level) for level in target.levels]
    print("".join(one.stdout for one in done), end="")
    return int(any(one.returncode not in (0, 77) for one in done))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
