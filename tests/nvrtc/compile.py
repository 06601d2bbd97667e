"""Compiles every kernel in every dtype by torch's NVRTC, and says how long it takes.

    PYTHONPATH=tests python tests/nvrtc/compile.py [sm_XX ...]

compiles for the architectures named, or all that NVRTC knows, as many at a time as there are cores. Exits with 1 if one does not compile, or comes out under
another name than g++ gives it; with 2 where there is no NVRTC.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from emulator.build import build_driven

from dcnbuild.builder import kernels
from dcnbuild.builder.lookup import running_torch
from dcnbuild.builder.nvrtc import NvrtcError
from dcnbuild.builder.sources import csrc_dir
from dcnbuild.machine.nvrtc import find_nvrtc


def expressions(mangled: Sequence[str]) -> list[str]:
    """The names of kernels in C++: "_ZN…" is "dcnbuild::cuda::join_tiles_kernel<float>"."""
    lines = subprocess.run(
        ["c++filt"], input="\n".join(mangled), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line.removeprefix("void ").partition(">(")[0] + ">" for line in lines]


def all_kernels() -> list[str]:
    """The mangled names of every kernel that the launchers name, as the driver of the tests knows them."""
    library = ctypes.CDLL(str(build_driven() / "libcuda.so.1"))
    library.stand_in_kernels.restype = ctypes.c_char_p
    names: list[str] = library.stand_in_kernels().decode().split()
    return names


def main(wanted: Sequence[str]) -> int:
    found = find_nvrtc(running_torch(), os.environ)
    if isinstance(found, str):
        print(found, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        compiler = kernels.KernelCompiler(found, csrc_dir(), {"DCNBUILD_CACHE": scratch})
    mangled = all_kernels()
    names = expressions(mangled)
    source = kernels.source(csrc_dir())

    def compiles(target: str) -> bool:
        started = time.thread_time()
        try:
            options = (f"--gpu-architecture={target}", *compiler.options)
            compiled = compiler.nvrtc.compile(source, names, options)
        except NvrtcError as error:
            print(f"{target}: {error}", file=sys.stderr)
            return False
        other = [pair for pair in zip(mangled, compiled.names) if pair[0] != pair[1]]
        print(
            *(f"{ours} is called {theirs}" for ours, theirs in other),
            f"{target}: {len(names)} kernels, {len(compiled.image)} bytes, "
            f"{time.thread_time() - started:.1f} s by NVRTC {compiler.nvrtc.version}",
            sep="\n",
            flush=True,
        )
        return not other

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        targets = wanted or [f"sm_{known}" for known in compiler.nvrtc.supported]
        return 0 if all(list(pool.map(compiles, targets))) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
