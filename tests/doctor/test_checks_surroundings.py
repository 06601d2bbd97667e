"""Tests containers, WSL, drivers that do not start, and Jetson: the findings, and those that must not appear."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doctor.machines import (
    A100,
    broken,
    found,
    gcc,
    gpu_driver,
    machine,
    one,
    python,
    torch,
    variables,
)

from dcnbuild.doctor.checks import examine
from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.doctor.resolver import JETSON, resolve
from dcnbuild.machine.facts import Driver, Facts, PathEntry

HOST = Driver("580.95.05", devices=1)
NOTHING = Driver(devices=0)


@pytest.mark.parametrize(
    ("runtime", "line"),
    [
        ("docker", "docker run --gpus all"),
        ("podman", "podman run --device nvidia.com/gpu=all"),
        ("kubernetes", "nvidia.com/gpu: 1"),
        ("apptainer", "apptainer exec --nv"),
        ("lxc", "with access to the GPUs of the host"),
    ],
)
def test_a_container_without_gpu(runtime: str, line: str) -> None:
    facts = replace(machine(container=runtime), driver=HOST)
    finding = one(facts, "container-without-gpu")
    assert finding.severity == "warning" and line in finding.fix[-1]
    assert one(replace(facts, driver=NOTHING), "container-without-gpu").severity == "note"
    no_cuda = replace(facts, torch=torch("2.14.1+cpu", None), toolkits=())
    for good in (
        replace(facts, driver=HEALTHY.driver),
        no_cuda,
        replace(facts, machine=HEALTHY.machine),
    ):
        assert found(good, "container-without-gpu") == []


@pytest.mark.parametrize(
    "facts",
    [
        replace(machine(container="docker", root=True), driver=HOST),
        replace(machine(container="docker", root=True), driver=Driver(devices=1)),
        replace(machine(container="docker", root=True), driver=NOTHING),
        replace(machine(wsl=True), driver=Driver(devices=1, problem="no driver")),
        replace(machine(wsl=True), driver=Driver()),
    ],
)
def test_nobody_installs_a_driver_or_reboots_inside_a_container_or_wsl(facts: Facts) -> None:
    lines = [line for finding in examine(facts) for line in finding.fix]
    assert lines
    assert not any(
        word in line for line in lines if not line.startswith("#") for word in ("reboot", "nvidia-driver", "ubuntu-")
    )
    assert not {"driver-missing", "gpu-missing"} & {finding.id for finding in examine(facts)}


def test_a_runtime_image_has_no_toolkit() -> None:
    facts = replace(machine(container="docker"), toolkits=(), cuda_home=None)
    assert any("-devel" in line for line in one(facts, "toolkit-missing").evidence)


def test_a_driver_that_was_updated_but_not_reloaded() -> None:
    driver = Driver("580.82.07", devices=1, problem="Failed to initialize NVML: Driver/library version mismatch")
    for fields, line in (
        ({}, "sudo reboot"),
        ({"container": "docker"}, "# reboot the host of this container"),
        ({"wsl": True}, "# in Windows, in PowerShell: wsl --shutdown"),
    ):
        assert one(replace(machine(**fields), driver=driver), "driver-mismatch").fix == (line,)


def test_secure_boot_keeps_a_driver_out() -> None:
    facts = replace(machine(secure_boot=True), driver=Driver(devices=1))
    finding = one(facts, "driver-missing")
    assert any("Secure Boot" in line for line in finding.evidence)
    assert finding.fix[1:] == ("sudo update-secureboot-policy --enroll-key", "sudo reboot")
    debian = replace(facts.machine, distribution="debian 12")
    assert "mokutil" in one(replace(facts, machine=debian), "driver-missing").fix[1]


@pytest.mark.parametrize(
    ("error", "said", "fix"),
    [
        (802, "fabric", "sudo systemctl enable --now nvidia-fabricmanager"),
        (803, "different versions", "sudo reboot"),
        (999, "suspend", "sudo modprobe -r nvidia_uvm"),
        (34, "stub", None),
        (1, "cannot be started", None),
    ],
)
def test_a_driver_that_does_not_start(error: int, said: str, fix: str | None) -> None:
    facts = broken(driver=Driver("580.95.05", "13.0", ("libcuda",), devices=1, error=error))
    finding = one(facts, "cuda-not-initialised")
    assert said in finding.cause
    assert finding.fix[:1] == ((fix,) if fix else ())
    if error in (802, 803, 999):
        inside = one(
            replace(facts, machine=replace(HEALTHY.machine, container="docker")),
            "cuda-not-initialised",
        )
        assert inside.fix[0] == "# on the host, not in this container:"


@pytest.mark.parametrize(
    ("error", "entry"),
    [
        (34, "/usr/local/cuda/lib64/stubs"),
        (803, "/usr/local/cuda/compat"),
        (804, "/opt/cuda-compat"),
    ],
)
def test_the_entry_that_brings_the_wrong_libcuda(error: int, entry: str) -> None:
    paths = (
        PathEntry("LD_LIBRARY_PATH", entry, True),
        PathEntry("LD_LIBRARY_PATH", "/opt/lib", True),
    )
    facts = broken(driver=Driver("580.95.05", "13.0", error=error), paths=paths)
    finding = one(facts, "cuda-not-initialised")
    assert finding.fix == ("export LD_LIBRARY_PATH=/opt/lib",)
    assert f"LD_LIBRARY_PATH: {entry}" in finding.evidence


def test_mig_with_and_without_instances() -> None:
    empty = Driver("580.95.05", "13.0", ("libcuda", "nvidia-smi"), (A100,), devices=1, mig=1)
    assert "sudo nvidia-smi mig -cgi 0 -C" in one(broken(driver=empty), "mig-without-instance").fix
    instance = replace(empty, found_by=("/proc/driver/nvidia/version", "libcuda"))  # CUDA saw it: smi was not asked
    assert found(broken(driver=instance), "mig-without-instance") == []


@pytest.mark.parametrize("name", ["CC", "CXX", "NVCC_CCBIN"])
def test_a_variable_that_names_no_compiler(name: str) -> None:
    facts = broken(variables=variables(**{name: "/opt/gcc-9/bin/g++"}))
    finding = one(facts, "compiler-variable-wrong")
    assert finding.fix == (f"unset {name}",)
    assert finding.evidence == (f"{name}=/opt/gcc-9/bin/g++",)
    there = replace(facts, compilers=(gcc("12.4.0", "g++-12", name), *HEALTHY.compilers))
    assert found(there, "compiler-variable-wrong") == []


def test_a_preloaded_library_that_is_not_there() -> None:
    entries = (
        PathEntry("LD_PRELOAD", "/no/cuda.so", False),
        PathEntry("LD_PRELOAD", "/lib/b.so", True),
    )
    facts = broken(paths=entries)
    assert one(facts, "preload-missing").fix == ("export LD_PRELOAD=/lib/b.so",)
    assert found(facts, "path-missing") == []
    assert found(broken(paths=entries[1:]), "preload-missing") == []


@pytest.mark.parametrize(
    ("version", "setuptools", "found_it"),
    [
        ("3.12.4", "65.5.0", True),
        ("3.12.4", "66.1.0", False),
        ("3.11.9", "59.0.0", False),
        ("3.14.0", "60.2", True),
    ],
)
def test_setuptools_under_new_pythons(version: str, setuptools: str, found_it: bool) -> None:
    facts = python(version=version, packages={"setuptools": setuptools})
    assert bool(found(facts, "setuptools-old-python")) == found_it


def test_a_torch_for_rocm_on_an_nvidia_gpu() -> None:
    rocm = torch("2.8.0+rocm6.4", None, hip="6.4")
    finding = one(broken(torch=rocm), "torch-for-rocm")
    assert finding.fix[0] == "python -m pip uninstall -y torch"
    assert finding.fix[1].startswith("python -m pip install torch==2.8.0")
    assert found(broken(torch=rocm, driver=Driver()), "torch-for-rocm") == []  # on an AMD GPU
    assert found(HEALTHY, "torch-for-rocm") == []


@pytest.mark.parametrize(
    ("installed", "packages", "fix"),
    [
        ("2.14.1+cu130", {"torchvision": "0.29.1"}, None),
        ("2.14.1+cu130", {"torchaudio": "2.11.0"}, None),  # bound to no torch any more
        ("1.13.1", {"torchvision": "0.14.1"}, None),
        (
            "2.14.1+cu130",
            {"torchvision": "0.20.1+cu124"},
            "torch==2.14.1 'torchvision==0.29.*' --index-url https://download.pytorch.org/whl/cu130",
        ),
        (
            "2.5.1",
            {"torchvision": "0.20.1", "torchaudio": "2.1.0"},
            "torch==2.5.1 'torchaudio==2.5.*'",
        ),
    ],
)
def test_torchvision_that_was_left_behind(installed: str, packages: dict[str, str], fix: str | None) -> None:
    facts = replace(python(packages=packages), torch=torch(installed, "13.0"))
    findings = found(facts, "torchvision-stale")
    assert [item.fix for item in findings] == ([(f"python -m pip install {fix}",)] if fix else [])


def test_a_jetson_takes_nvidias_wheels() -> None:
    facts = replace(
        machine(jetson="R36 (release), REVISION: 4.3", architecture="aarch64"),
        torch=None, toolkits=(), cuda_home=None, driver=gpu_driver("540.4.0", "12.6", A100),
    )  # fmt: skip
    assert JETSON in str(resolve(facts).problem)
    index = "https://pypi.jetson-ai-lab.io/jp6/cu126"
    assert (
        one(facts, "torch-missing").fix[-1] == f"python -m pip install torch torchvision torchaudio --index-url {index}"
    )
    older = replace(facts, machine=replace(facts.machine, jetson="R32 (release), REVISION: 7.1"))
    assert JETSON in one(older, "torch-missing").fix[0]
    without_toolkit = replace(facts, torch=torch("2.5.0", "12.6"))
    assert one(without_toolkit, "toolkit-missing").fix == ("sudo apt-get install nvidia-jetpack",)
