"""Compiles the CUDA sources for the CPU, with the emulator and bindings.cpp, into one Python module.

    python tests/emulator/build.py [compiler flag ...]

prints the module's path. The modules are under build/emulator/, named by a hash of all their inputs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from dcnbuild.builder.flavour import Flavour, flavour_of
from dcnbuild.builder.lookup import running_torch
from dcnbuild.builder.sources import Library

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
    digest = hashlib.blake2b(" ".join(command).encode() + Path(__file__).read_bytes(), digest_size=8)
    for pattern in ("csrc/**/*.*", "tests/emulator/*.h", "tests/*/*.cpp", "tests/nvrtc/*.h"):
        for path in sorted(root.glob(pattern)):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def build(flags: Sequence[str] = (), root: Path = ROOT, into: Path = BUILT) -> Path:
    """The module in `into`, compiled with extra `flags` from the sources under `root` unless it is there already.

    Raises CalledProcessError if the compiler fails; it has printed why.
    """
    sources = [*operator_sources(root), root / "tests/emulator/bindings.cpp"]
    command = [compiler(), *FLAGS, *flags, *includes(root)]
    module = into / f"dcnbuild_emulator-{source_hash(root, command)}.so"
    with _made_once(module) as scratch:
        if scratch:
            _link(_compile(sources, command, scratch), "cpu", flags, scratch / "module.so")
            (scratch / "module.so").replace(module)
    return module


def build_driven(flags: Sequence[str] = (), root: Path = ROOT, into: Path = BUILT) -> Path:
    """A directory with the host half of the route `nvrtc` on CPU tensors, and the driver that stands in for NVIDIA's.

    They are dcnbuild_driven.so and libcuda.so.1. Raises CalledProcessError if the compiler fails; it has printed why.
    """
    host = [compiler(), *FLAGS, *flags, *includes(root, "NVRTC")]
    # seen by its own names for the kernels, so none is hidden
    driver = [compiler(), *FLAGS, *flags, "-fvisibility=default", *includes(root)]
    directory = into / f"driven-{source_hash(root, [*host, *driver])}"
    with _made_once(directory) as scratch:
        if scratch:
            made = scratch / "driven"
            made.mkdir()
            stand_in = ["-shared", "-Wl,-soname,libcuda.so.1", str(root / "tests/nvrtc/driver.cpp"), "-pthread", "-ldl"]
            with ThreadPoolExecutor() as pool:
                done = pool.submit(subprocess.run, [*driver, *stand_in, "-o", str(made / "libcuda.so.1")], check=True)
                sources = [*operator_sources(root), root / "csrc/common/nvrtc/driver.cpp"]
                _link(_compile(sources, host, scratch), "nvrtc", flags, made / "dcnbuild_driven.so")
                done.result()
            made.rename(directory)
    return directory


def operator_sources(root: Path) -> list[Path]:
    """The whole CUDA half: the launchers with their kernels, and operator.cpp, which has the schemas."""
    return [*sorted(root.glob("csrc/*/cuda/*.cu")), root / "tests/emulator/operator.cpp"]


@contextmanager
def _made_once(target: Path) -> Iterator[Path | None]:
    """Gives a directory in which to make `target`, or None if it is there. Other processes wait meanwhile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            yield None
        else:
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                yield Path(scratch)


def _compile(sources: Sequence[Path], command: Sequence[str], into: Path) -> list[Path]:
    """Compiles each source, as many at a time as there are cores; returns the object files."""
    objects = [into / f"{source.name}.o" for source in sources]
    commands = [
        [*command, "-x", "c++", "-c", str(source), "-o", str(output)] for source, output in zip(sources, objects)
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(subprocess.run, check=True), commands))
    return objects


def _link(objects: Sequence[Path], library: Library, flags: Sequence[str], output: Path) -> None:
    import torch

    command = [compiler(), *flags, "-shared", *map(str, objects), "-o", str(output)]
    libraries = (f"-L{Path(torch.__file__).parent / 'lib'}", *(f"-l{name}" for name in flavour().link[library]))
    subprocess.run([*command, *libraries], check=True)


def build_race_check(output: Path, flags: Sequence[str], root: Path = ROOT) -> None:
    """race_check.cpp of `root` with the flags of a sanitizer. Raises CalledProcessError if the compiler fails."""
    source = root / "tests" / "emulator" / "race_check.cpp"
    command = [compiler(), *FLAGS, *flags, *includes(root)]
    subprocess.run([*command, str(source), "-pthread", "-o", str(output)], check=True)


if __name__ == "__main__":
    print(build(sys.argv[1:]))
