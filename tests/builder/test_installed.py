"""Tests the contents of the libraries that this run uses, and whether a wheel may contain them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dcnbuild.builder import kernels, native
from dcnbuild.builder.lookup import running_torch
from dcnbuild.builder.record import read_record
from dcnbuild.builder.sources import csrc_dir
from dcnbuild.machine.elf import cuda_architectures
from dcnbuild.machine.nvrtc import NvrtcInstall, find_nvrtc
from tools.build_matrix import wheel_check

each_library = pytest.mark.parametrize("device", ["cpu", "cuda"], ids=["dcnbuild_cpu", "dcnbuild_cuda"])


def library_of(device: str) -> Path:
    import dcnbuild.ops.deform_conv2d  # noqa: F401  registers the operators

    native.load_registered(everything=True)
    library = native.status(device).library
    if library is None:
        assert device == "cuda", "the CPU must be served by a library"
        pytest.skip("no CUDA library is installed")
    return Path(library)


@each_library
def test_each_operator_of_the_schema_has_a_kernel(device: str) -> None:
    import torch

    library_of(device)
    schema = (csrc_dir() / "schema.h").read_text(encoding="utf-8")
    names = re.findall(r'R"schema\((\w+)\(', schema)
    assert "deform_conv2d" in names
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    key = device.upper()
    assert [name for name in names if not has_kernel(f"dcnbuild::{name}", key)] == []


@each_library
def test_the_file_holds_the_architectures_of_its_record(device: str) -> None:
    library = library_of(device)
    if native.status(device).route == "nvrtc":
        pytest.skip("no kernel is inside the library that serves: NVRTC compiles them")
    record = read_record(library.parent)
    assert record is not None
    recorded = record.libraries[native._device(device)].architectures
    assert cuda_architectures(library) == recorded
    assert bool(recorded) == (device == "cuda")


@pytest.mark.parametrize("device", ["cpu", "cuda", "nvrtc"])
def test_the_installed_library_can_be_shipped(device: str, request: pytest.FixtureRequest) -> None:
    record = read_record(native.PREBUILT)
    if record is None and request.config.getoption("--route") != "prebuilt":
        pytest.skip("the package that is tested has no prebuilt library")
    assert record is not None
    if record.flavour != "stable":
        pytest.skip(f"built in the {record.flavour} flavour, for one torch only")
    if device != "cpu" and device not in record.libraries:
        pytest.skip(f"built without CUDA: {record.cuda_left_out}")
    assert wheel_check.problems(native.PREBUILT / f"dcnbuild_{device}.so") == []


def test_the_installed_torch_compiles_a_kernel_without_a_toolkit(tmp_path: Path) -> None:
    """The route nvrtc, as far as it goes without a GPU: this torch's NVRTC makes machine code of an installed kernel."""
    if refused := kernels.refusal(running_torch(), os.environ):
        pytest.skip(f"no route nvrtc: {refused}")
    found = find_nvrtc(running_torch(), os.environ)
    assert isinstance(found, NvrtcInstall)
    compiler = kernels.KernelCompiler(found, csrc_dir(), {"DCNBUILD_CACHE": str(tmp_path)})
    compiled = compiler.kernel("dcnbuild::cuda::join_tiles_kernel<float>", 90)
    assert compiled.image.startswith(b"\x7fELF") and "join_tiles_kernel" in compiled.names[0]


def test_the_installed_host_half_of_the_route_nvrtc_serves(request: pytest.FixtureRequest) -> None:
    """`dcnbuild info` loads it in a process of its own, since the first library of a GPU stays."""
    if refused := kernels.refusal(running_torch(), os.environ):
        pytest.skip(f"no route nvrtc: {refused}")
    record = read_record(native.PREBUILT)
    if record is None and request.config.getoption("--route") != "prebuilt":
        pytest.skip("the package that is tested has no prebuilt library")
    assert record is not None
    if record.flavour != "stable" or "DCNBUILD_CUDA=off" in (record.cuda_left_out or ""):
        pytest.skip(f"built in the {record.flavour} flavour; without CUDA: {record.cuda_left_out}")
    command = [sys.executable, "-m", "dcnbuild", "info", "--json"]
    environment = {**os.environ, "DCNBUILD_ROUTE": "nvrtc", "PYTHONPATH": os.pathsep.join(sys.path)}
    report = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    (cuda,) = (device for device in report["devices"] if device["device"] == "cuda")
    assert (cuda["route"], Path(cuda["library"])) == ("nvrtc", native.PREBUILT / "dcnbuild_nvrtc.so")
