"""The route `nvrtc` without a GPU: the real host half, the real NVRTC, and a driver that runs kernels in the emulator.

DCNBUILD_DRIVEN names a directory that `build_driven` made before, from changed sources (tests/emulator/mutate.py).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from emulator.build import build_driven
from emulator.products import register

from dcnbuild.builder import kernels
from dcnbuild.builder.lookup import running_torch
from dcnbuild.builder.nvrtc import Compiled
from dcnbuild.builder.sources import csrc_dir
from dcnbuild.machine.nvrtc import NvrtcInstall, find_nvrtc


@pytest.fixture(scope="session")
def nvrtc() -> NvrtcInstall:
    """torch's own NVRTC."""
    refused = kernels.refusal(running_torch(), os.environ)
    if refused:
        pytest.skip(f"no route nvrtc: {refused}")
    found = find_nvrtc(running_torch(), os.environ)
    assert isinstance(found, NvrtcInstall)
    return found


@pytest.fixture(scope="session")
def compiler(nvrtc: NvrtcInstall, tmp_path_factory: pytest.TempPathFactory) -> kernels.KernelCompiler:
    """Returns a compiler with one cache for all tests, so that each kernel is compiled once."""
    cache = str(tmp_path_factory.mktemp("kernels"))
    return kernels.KernelCompiler(nvrtc, csrc_dir(), {"DCNBUILD_CACHE": cache})


@dataclass
class Driver:
    """The driver that stands in for NVIDIA's, and who compiles kernels for the host half.

    Attributes:
        library: it, loaded.
        said_before: what the host half said of a call before there was any driver.
        asked: (name, capability) of each kernel that was asked for.
        answer: gives the kernels; tests put others in its place.
    """

    library: ctypes.CDLL
    said_before: str
    answer: Any
    asked: list[tuple[str, int]] = field(default_factory=list)

    def configure(self, devices: int = 1, capability: int = 90) -> None:
        self.library.stand_in_configure(devices, capability)

    def fail(self, call: str, error: int, after: int = 0) -> None:
        """Makes a call of the driver fail with an error of CUDA after a number of successful calls."""
        self.library.stand_in_fail(call.encode(), error, after)

    def log(self) -> list[list[str]]:
        """The words of each call since the last time, e.g. ["cuCtxSetCurrent", "0"]."""
        return [line.split() for line in self.library.stand_in_take_log().decode().splitlines()]

    def launches(self) -> list[tuple[str, int, int, int]]:
        """Name, blocks, threads and stream of each launch since the last time."""
        calls = [words for words in self.log() if words[0] == "cuLaunchKernel"]
        return [(name, int(blocks), int(threads), int(stream)) for _, name, blocks, threads, stream in calls]


def smallest_call() -> torch.Tensor:
    one = torch.ones(1, 1, 1, 1)
    offset = torch.zeros(1, 2, 1, 1)
    result: torch.Tensor = torch.ops.dcnbuild_driven.deform_conv2d(
        one, offset, None, one, None, (1, 1), (0, 0), (1, 1), 1, 1
    )
    return result


@pytest.fixture(scope="session")
def loaded(compiler: kernels.KernelCompiler) -> Driver:
    register()
    built = Path(os.environ.get("DCNBUILD_DRIVEN") or build_driven())
    torch.ops.load_library(built / "dcnbuild_driven.so")
    try:
        ctypes.CDLL("libcuda.so.1")
        pytest.skip("NVIDIA's own driver is here: tests/gpu shows more")
    except OSError:
        pass
    with pytest.raises(RuntimeError) as before:
        smallest_call()
    library = ctypes.CDLL(str(built / "libcuda.so.1"))
    for name in ("stand_in_take_log", "stand_in_kernels"):
        getattr(library, name).restype = ctypes.c_char_p
    driver = Driver(library, str(before.value), compiler.kernel)

    def answer(expression: str, capability: int) -> Compiled:
        driver.asked.append((expression, capability))
        result: Compiled = driver.answer(expression, capability)
        return result

    kernels.serve(built / "dcnbuild_driven.so", answer)
    return driver


@pytest.fixture
def driver(loaded: Driver, compiler: kernels.KernelCompiler) -> Iterator[Driver]:
    """Resets the driver to one H100 without failures."""
    loaded.configure()
    loaded.answer = compiler.kernel
    loaded.asked.clear()
    loaded.log()
    yield loaded
    loaded.fail("", 0)
    loaded.configure()
