"""Tests that the host code compiles with the headers of the oldest torch of each flavour.

Whoever develops has a new torch, and CI's rows of the matrix have two: a function that an old torch lacks would be
noticed only by its users. The wheels for macOS are small and have the same headers, but for those of CUDA.
"""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import CHECKOUT
from emulator.build import NAMESPACES

from dcnbuild.builder.flags import NVRTC_FLAGS
from dcnbuild.builder.flavour import STABLE, Flavour, flavour_of
from dcnbuild.builder.sources import library_sources
from dcnbuild.machine.facts import TorchInstall
from tools.knowledge.wheels import Wheel, fetch

pytestmark = pytest.mark.slow

CSRC = CHECKOUT / "csrc"
EMULATED = (
    *("-DDCNBUILD_EMULATE_CUDA", f"-DDCNBUILD_TEST_NAMESPACE={NAMESPACES['EMULATE_CUDA']}"),
    *(f"-I{CHECKOUT / 'tests/emulator'}", "-x", "c++"),
)


#: The oldest of each flavour. ATen's newest has what the oldest lacks, and all of it is in torch_aten.h.
OLDEST, NEWEST_ATEN = ("2.0.1", "2.10.0"), "2.9.1"


@pytest.fixture(scope="module")
def torch(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TorchInstall:
    """The headers of a torch in a directory of their own."""
    scratch = tmp_path_factory.mktemp("torch")
    wheel = Wheel("torch", request.param, "3.10", "macosx_11_0_arm64")
    try:
        archive = fetch(wheel, scratch, r"^torch/include/.*\.h$")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"pip could not download torch {request.param}: {error}")
    with zipfile.ZipFile(archive.path) as file:
        file.extractall(scratch)
    return TorchInstall(scratch / "torch", request.param, None)


def assert_compiles(command: Sequence[str | Path]) -> None:
    outcome = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr[-3000:]


def common_flags(torch: TorchInstall) -> tuple[str, ...]:
    flavour: Flavour = flavour_of(torch)
    return (*flavour.flags, f"-I{CSRC}", "-isystem", str(torch.root / "include"))


@pytest.mark.parametrize("torch", OLDEST, indirect=True)
def test_the_cpu_library(torch: TorchInstall) -> None:
    for source in library_sources(CSRC, "cpu"):
        assert_compiles(["g++", "-fsyntax-only", *common_flags(torch), source])


@pytest.mark.parametrize("torch", OLDEST, indirect=True)
def test_the_host_half_of_the_cuda_library(torch: TorchInstall) -> None:
    """In the stable flavour that of the route `nvrtc`, in the other that of the emulator, which calls torch alike."""
    stable = flavour_of(torch) is STABLE
    flags = NVRTC_FLAGS if stable else EMULATED
    for source in library_sources(CSRC, "nvrtc" if stable else "cuda"):
        assert_compiles(["g++", "-fsyntax-only", "-w", *common_flags(torch), *flags, source])


@pytest.mark.parametrize("torch", [*OLDEST, NEWEST_ATEN], indirect=True)
def test_the_torch_api_in_nvcc(torch: TorchInstall) -> None:
    """nvcc's C++ front end refuses in templates what g++ lets pass until they are used."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on PATH")
    assert_compiles(
        [nvcc, "-w", "-cuda", "-x", "cu", "-o", torch.root / "schema.ii", *common_flags(torch), CSRC / "schema.cpp"]
    )
