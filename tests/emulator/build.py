"""Compiles the CUDA sources for the CPU, with the emulator: operator.cpp and bindings.cpp, into one Python module.

    python tests/emulator/build.py [compiler flag ...]

prints the module's path. The modules are under build/emulator/, named by a hash of all their inputs.
"""

from __future__ import annotations

import hashlib
import itertools
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
#: Where the operators are registered, by the way kernels run.
NAMESPACES = {"EMULATE_CUDA": "dcnbuild_emulated", "NVRTC": "dcnbuild_driven"}
THREAD_FLAGS = ("-fsanitize=thread",)
ADDRESS_FLAGS = (
    "-fsanitize=address,undefined,float-cast-overflow",
    *("-fno-sanitize-recover=all", "-fno-omit-frame-pointer"),
)


def compiler() -> str:
    return os.environ.get("CXX", "c++")


def flavour() -> Flavour:
    """Returns the flavour of the installed torch."""
    return flavour_of(running_torch())


def includes(root: Path, route: str = "EMULATE_CUDA") -> list[str]:
    """Flags for the headers of `root`, torch, Python and pybind11; the emulator's own come first.

    `route` is how kernels run: in the emulator, or with "NVRTC" by way of the driver.
    """
    import pybind11
    import torch

    paths = [
        Path(torch.__file__).parent / "include",
        sysconfig.get_paths()["include"],
        pybind11.get_include(),
    ]
    return [
        *(
            f"-DDCNBUILD_{route}",
            f"-DDCNBUILD_TEST_NAMESPACE={NAMESPACES[route]}",
            *flavour().flags,
        ),
        *(f"-I{root / 'tests' / 'emulator'}", f"-I{root / 'csrc'}", f"-I{root / 'tests'}"),
        *(flag for path in paths for flag in ("-isystem", str(path))),
    ]


def source_hash(root: Path, command: Sequence[str]) -> str:
    digest = hashlib.blake2b(" ".join(command).encode(), digest_size=8)
    for pattern in ("csrc/**/*.*", "tests/emulator/*.h", "tests/*/*.cpp", "tests/nvrtc/*.h"):
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
        subprocess.run([*link, f"-L{libraries}", *(f"-l{name}" for name in flavour().link["cpu"])], check=True)
        made.replace(module)
    return module


def build_driven(flags: Sequence[str] = (), root: Path = ROOT, into: Path = BUILT) -> Path:
    """A directory with the host half of the route `nvrtc` on CPU tensors, and the driver that stands in for NVIDIA's.

    They are dcnbuild_driven.so and libcuda.so.1. Raises CalledProcessError if the compiler fails; it has printed why.
    """
    import torch

    torch_libraries = Path(torch.__file__).parent / "lib"
    options = [*FLAGS, *flags, "-shared"]
    link = [f"-L{torch_libraries}", *(f"-l{name}" for name in flavour().link["nvrtc"])]
    tests, sources = root / "tests", root / "csrc" / "common" / "nvrtc"
    commands = {
        "dcnbuild_driven.so": [
            *(compiler(), *options, *includes(root, "NVRTC"), str(tests / "emulator/operator.cpp")),
            *(str(sources / "driver.cpp"), *link),
        ],
        # seen by its own names for the kernels, so none is hidden
        "libcuda.so.1": [
            *(compiler(), *options, "-fvisibility=default", *includes(root)),
            *("-Wl,-soname,libcuda.so.1", str(tests / "nvrtc/driver.cpp"), "-pthread", "-ldl"),
        ],
    }
    directory = into / f"driven-{source_hash(root, [*itertools.chain(*commands.values())])}"
    if directory.exists():
        return directory
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        made = Path(scratch, "driven")
        made.mkdir()
        running = [subprocess.Popen([*command, "-o", str(made / name)]) for name, command in commands.items()]
        for process in running:
            if process.wait() != 0:
                raise subprocess.CalledProcessError(process.returncode, process.args)
        try:
            made.rename(directory)
        except OSError:  # another process was quicker
            if not directory.exists():
                raise
    return directory


def build_race_check(output: Path, flags: Sequence[str], root: Path = ROOT) -> None:
    """race_check.cpp of `root` with the flags of a sanitizer. Raises CalledProcessError if the compiler fails."""
    source = root / "tests" / "emulator" / "race_check.cpp"
    command = [compiler(), *FLAGS, *flags, *includes(root)]
    subprocess.run([*command, str(source), "-pthread", "-o", str(output)], check=True)


if __name__ == "__main__":
    print(build(sys.argv[1:]))
