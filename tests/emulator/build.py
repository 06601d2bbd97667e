"""Compiles the CUDA sources for the CPU, with the emulator: operator.cpp and bindings.cpp, into one Python module.

    python tests/emulator/build.py [compiler flag ...]

prints the module's path. The modules are under build/emulator/, named by a hash of all their inputs.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dcnbuild.builder.flavour import Flavour, flavour_of
from dcnbuild.builder.lookup import running_torch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILT = ROOT / "build" / "emulator"

#: Floating-point contraction off: the same sums at every optimisation level.
FLAGS = (
    *("-std=c++17", "-O1", "-g1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off"),
    *("-Wall", "-Wextra", "-Wno-unknown-pragmas"),
)
THREAD_FLAGS = ("-fsanitize=thread",)
ADDRESS_FLAGS = (
    "-fsanitize=address,undefined,float-cast-overflow",
    *("-fno-sanitize-recover=all", "-fno-omit-frame-pointer"),
)


def compiler() -> str:
    return os.environ.get("CXX", "c++")


def flavour() -> Flavour:
    """How the torch that is here is compiled against."""
    return flavour_of(running_torch())


def includes(root: Path) -> list[str]:
    """Flags for the headers of `root`, torch, Python and pybind11; the emulator's own come first."""
    import pybind11
    import torch

    paths = [
        Path(torch.__file__).parent / "include",
        sysconfig.get_paths()["include"],
        pybind11.get_include(),
    ]
    return [
        *("-DDCNBUILD_EMULATE_CUDA", *flavour().flags, f"-I{HERE}", f"-I{root / 'csrc'}"),
        *(flag for path in paths for flag in ("-isystem", str(path))),
    ]


def source_hash(root: Path, command: Sequence[str]) -> str:
    digest = hashlib.blake2b(" ".join(command).encode(), digest_size=8)
    for pattern in ("csrc/**/*.*", "tests/emulator/*.h", "tests/emulator/*.cpp"):
        for path in sorted(root.glob(pattern)):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def build(flags: Sequence[str] = (), root: Path = ROOT, into: Path = BUILT) -> Path:
    """The module in `into`, compiled with extra `flags` from the sources under `root` unless it is there already.

    Raises CalledProcessError if the compiler fails; it has printed why.
    """
    import torch

    libraries = Path(torch.__file__).parent / "lib"
    command = [compiler(), *FLAGS, *flags, *includes(root)]
    module = into / f"dcnbuild_emulator-{source_hash(root, command)}.so"
    if module.exists():
        return module
    module.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=module.parent) as scratch:
        sources = [root / "tests" / "emulator" / name for name in ("operator.cpp", "bindings.cpp")]
        objects = [Path(scratch, f"{source.stem}.o") for source in sources]
        running = [
            subprocess.Popen([*command, "-c", str(source), "-o", str(output)])
            for source, output in zip(sources, objects)
        ]
        for process in running:
            if process.wait() != 0:
                raise subprocess.CalledProcessError(process.returncode, process.args)
        made = Path(scratch, "module.so")
        link = [compiler(), *flags, "-shared", *map(str, objects), "-o", str(made)]
        subprocess.run(
            [*link, f"-L{libraries}", *(f"-l{name}" for name in flavour().link["cpu"])], check=True
        )
        made.replace(module)
    return module


def build_race_check(output: Path, flags: Sequence[str], root: Path = ROOT) -> None:
    """race_check.cpp of `root` with the flags of a sanitizer. Raises CalledProcessError if the compiler fails."""
    source = root / "tests" / "emulator" / "race_check.cpp"
    command = [compiler(), *FLAGS, *flags, *includes(root)]
    subprocess.run([*command, str(source), "-pthread", "-o", str(output)], check=True)


if __name__ == "__main__":
    print(build(sys.argv[1:]))
