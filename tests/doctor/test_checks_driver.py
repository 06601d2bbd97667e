"""Tests the checks of driver, GPUs and torch: findings, false alarms, and fixes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from doctor.machines import (
    NEWEST,
    RTX_5090,
    V100,
    broken,
    found,
    gpu_driver,
    one,
    python,
    toolkit,
    torch,
    variables,
)

from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.machine.compatibility import driver_runs
from dcnbuild.machine.facts import Driver, Facts, Gpu

INDEX = "https://download.pytorch.org/whl"


def test_a_driver_that_is_too_old_for_torch() -> None:
    finding = one(broken(driver=gpu_driver("535.104.05", "12.2")), "driver-too-old")
    assert finding.severity == "error"
    said, *pasted = finding.fix
    assert said.startswith("# Install the newest driver, which supports this GPU")
    assert pasted[:2] == [
        "python -m pip uninstall -y torch",
        f"python -m pip install torch==2.14.1 --index-url {INDEX}/cu126",
    ]
    assert finding.fix[-1] == "export CUDA_HOME=/usr/local/cuda-12.6"  # 13.0 does not fit that torch
    assert "CUDA 13.0 needs driver 580 or newer" in finding.evidence


@pytest.mark.parametrize(
    "driver",
    [
        gpu_driver("580.65.06", "13.0"),
        gpu_driver("610.43.02", "13.3"),
        Driver("", None),
        Driver(None, "13.0"),
        Driver(),
    ],
)
def test_drivers_that_will_do_or_are_not_known(driver: Driver) -> None:
    assert found(broken(driver=driver), "driver-too-old") == []


def test_a_driver_of_which_only_libcuda_is_known() -> None:
    facts = broken(driver=Driver(None, "12.2", ("libcuda",), HEALTHY.driver.gpus))
    assert "driver for CUDA 13.x" in one(facts, "driver-too-old").evidence[-1]


def test_minor_version_compatibility_is_no_finding() -> None:
    """A 12.8 torch on the first driver that knows CUDA 12."""
    facts = broken(
        torch=torch("2.8.0+cu128", "12.8", "sm_89"),
        toolkits=(toolkit("12.8", "CUDA_HOME"),),
        driver=gpu_driver("525.60.13", "12.0"),
    )
    assert found(facts, "driver-too-old") == []
    assert found(facts, "driver-older-than-toolkit") == []


def test_ptx_of_a_newer_toolkit_on_an_older_driver() -> None:
    facts = broken(
        toolkits=(toolkit("12.8", "CUDA_HOME"),),
        driver=gpu_driver("535.104.05", "12.2"),
        variables=variables(TORCH_CUDA_ARCH_LIST="8.0+PTX"),
    )
    assert one(facts, "driver-older-than-toolkit").severity == "warning"


def test_a_toolkit_of_a_newer_major_than_the_driver_runs() -> None:
    facts = broken(
        toolkits=(toolkit("13.0", "CUDA_HOME"), toolkit("12.2")),
        torch=None,
        driver=gpu_driver("535.104.05", "12.2"),
    )
    finding = one(facts, "driver-older-than-toolkit")
    assert finding.severity == "error"
    assert finding.fix == ("export CUDA_HOME=/usr/local/cuda-12.2",)
    assert any("says nothing about installed toolkits" in line for line in finding.evidence)


def test_a_reboot_after_an_update() -> None:
    complaint = "Failed to initialize NVML: Driver/library version mismatch"
    finding = one(broken(driver=Driver("580.1", problem=complaint)), "driver-mismatch")
    assert finding.evidence == (complaint,)
    assert finding.fix == ("sudo reboot",)
    facts = broken(driver=Driver("580.1", problem="No devices were found"))
    assert found(facts, "driver-mismatch") == []


def test_a_gpu_without_a_driver() -> None:
    facts = broken(driver=Driver(devices=2))
    finding = one(facts, "driver-missing")
    assert finding.fix == ("sudo ubuntu-drivers install", "sudo reboot")
    assert found(facts, "gpu-missing") == []
    debian = replace(facts.machine, distribution="debian 12", root=True)
    assert one(replace(facts, machine=debian), "driver-missing").fix[0] == ("apt-get install nvidia-driver")


@pytest.mark.parametrize("driver", [Driver(devices=None), Driver(devices=0), HEALTHY.driver])
def test_no_word_of_a_missing_driver_without_a_gpu(driver: Driver) -> None:
    assert found(broken(driver=driver), "driver-missing") == []


def test_no_gpu_is_told_to_those_who_have_cuda() -> None:
    finding = one(broken(driver=Driver(devices=0)), "gpu-missing")
    assert (finding.severity, finding.fix) == ("note", ())
    without_cuda = broken(driver=Driver(), torch=torch("2.14.1+cpu", None), toolkits=())
    assert found(without_cuda, "gpu-missing") == []


TWO = gpu_driver("580.95.05", "13.0", RTX_5090, RTX_5090)


@pytest.mark.parametrize(
    ("value", "severity"),
    [
        ("-1", "warning"),
        (" -1", "warning"),
        ("", "warning"),
        ("none", "warning"),
        ("NoDevFiles", "warning"),
        ("2", "warning"),
        ("cuda:0", "warning"),
        ("all", "warning"),
        ("0 1", "warning"),
        ("0,0", "warning"),
        ("0,2", "note"),
        ("0,-1,1", "note"),
        ("1,", "note"),
        ("0", None),
        ("1,0", None),
        (" 0 , 1 ", None),
        ("GPU-8932f937", None),
        ("MIG-GPU-8932f937/1/0", None),
    ],
)
def test_hidden_gpus(value: str, severity: str | None) -> None:
    facts = broken(variables=variables(CUDA_VISIBLE_DEVICES=value), driver=TWO)
    findings = found(facts, "gpu-hidden")
    assert [item.severity for item in findings] == [severity] * bool(severity)
    assert all(item.fix == ("unset CUDA_VISIBLE_DEVICES",) for item in findings)
    assert found(replace(facts, driver=Driver()), "gpu-hidden") == []
    assert found(broken(driver=TWO), "gpu-hidden") == []


def test_torch_is_not_there() -> None:
    assert one(broken(torch=None), "torch-missing").fix == (f"python -m pip install torch=={NEWEST}",)
    alone = broken(torch=None, driver=Driver(devices=0), toolkits=())
    assert one(alone, "torch-missing").fix == (f"python -m pip install torch=={NEWEST} --index-url {INDEX}/cpu",)


def test_not_compiled_with_gpu_support() -> None:
    cpu = torch("2.13.0+cpu", None)
    finding = one(broken(torch=cpu), "torch-cpu-only")
    assert finding.severity == "warning"
    assert finding.fix == ("python -m pip uninstall -y torch", "python -m pip install torch==2.13.0")
    assert one(broken(torch=cpu, wants_cuda=True), "torch-cpu-only").severity == "error"
    on_v100 = broken(torch=cpu, driver=gpu_driver("580.95.05", "13.0", V100))
    assert one(on_v100, "torch-cpu-only").fix[1].endswith(f"{INDEX}/cu126")


def test_a_branch_of_the_driver_is_its_newest_release() -> None:
    assert driver_runs("525", "12.4") and not driver_runs("525.60.11", "12.4") and not driver_runs("520", "12.4")


@pytest.mark.parametrize(
    "facts",
    [
        broken(torch=torch("2.14.1+cpu", None), driver=Driver(devices=0)),
        broken(torch=torch("2.14.1", None, hip="6.4")),
        broken(torch=None),
        HEALTHY,
    ],
)
def test_a_cpu_torch_where_it_belongs(facts: Facts) -> None:
    assert found(facts, "torch-cpu-only") == []


@pytest.mark.parametrize(("channel", "says"), [("pytorch", 1), ("conda-forge", 0), (None, 0)])
def test_only_pytorchs_own_conda_channel_has_ended(channel: str | None, says: int) -> None:
    conda = torch("2.5.1", "12.1", installer="conda", channel=channel)
    assert len(found(broken(torch=conda), "torch-from-conda")) == says


def test_a_torch_behind_another() -> None:
    user = torch("2.4.1", "12.1", root=Path("/home/ada/.local/lib/python3.11/site-packages/torch"))
    facts = broken(torch=user, shadowed_torches=(HEALTHY.torch,))
    assert one(facts, "torch-shadowed").fix == ("export PYTHONNOUSERSITE=1",)
    twice = broken(shadowed_torches=(HEALTHY.torch,))
    assert found(twice, "torch-shadowed") == []


@pytest.mark.parametrize(
    ("version", "numpy", "says"),
    [("2.2.2", "2.0.0", 1), ("2.2.2", "1.26.4", 0), ("2.3.0", "2.1.0", 0), ("99.0", "2.1.0", 0)],
)
def test_numpy(version: str, numpy: str, says: int) -> None:
    facts = replace(python(packages={"numpy": numpy}), torch=torch(version, "12.1"))
    assert len(found(facts, "numpy2-old-torch")) == says
    assert found(replace(facts, torch=None), "numpy2-old-torch") == []


@pytest.mark.parametrize(
    ("version", "setuptools", "severity"),
    [
        ("1.13.1", "70.0.0", "error"),
        ("1.13.1", "82.0.0", "error"),
        ("1.13.1", "69.5.1", None),
        ("1.13.1", "80.9.0", None),
        ("2.0.1", "84.2.1", "error"),
        ("2.5.1", "82.0.0", None),
        ("2.11.0", "82.0.0", "warning"),
        ("2.14.1", "84.2.1", None),
        ("1.13.1", "not a version", None),
    ],
)
def test_setuptools(version: str, setuptools: str, severity: str | None) -> None:
    facts = replace(python(packages={"setuptools": setuptools}), torch=torch(version, "11.7"))
    assert [item.severity for item in found(facts, "setuptools-old-torch")] == ([severity] if severity else [])


def test_the_torch_of_the_notes() -> None:
    finding = one(broken(wanted_torch="1.16"), "torch-never-existed")
    assert finding.cause == "There never was a torch 1.16; the last 1.x is 1.13.1."
    assert one(broken(wanted_torch="2.14.7"), "torch-never-existed").cause.endswith("of 2.14 there are 2.14.0, 2.14.1.")
    for wanted in (None, "2.14", "latest", "cu126", "rubbish"):
        assert found(broken(wanted_torch=wanted), "torch-never-existed") == []


def test_a_torch_for_another_python() -> None:
    facts = broken(wanted_torch="1.13.1", driver=gpu_driver("580.95.05", "13.0", V100))
    facts = replace(facts, python=replace(HEALTHY.python, version="3.13.0"))
    finding = one(facts, "torch-not-for-this-machine")
    assert "needs Python 3.7 to 3.11, this is 3.13.0" in finding.evidence[0]
    assert finding.fix == (
        "python3.11 -m venv torch-1.13.1",
        "torch-1.13.1/bin/python -m pip install torch==1.13.1 'numpy<2'",
    )


def test_a_torch_that_no_driver_or_gpu_here_runs() -> None:
    facts = broken(wanted_torch="2.5", driver=gpu_driver("580.95.05", "13.0", RTX_5090))
    finding = one(facts, "torch-not-for-this-machine")
    assert "has no code for the NVIDIA GeForce RTX 5090" in finding.evidence[0]
    assert finding.fix == ()
    assert found(broken(wanted_torch="2.5"), "torch-not-for-this-machine") == []


def test_a_gpu_that_torch_does_not_know() -> None:
    old = torch("2.5.1+cu124", "12.4", "sm_50", "sm_80", "sm_86", "sm_90")
    facts = broken(torch=old, driver=gpu_driver("580.95.05", "13.0", RTX_5090))
    finding = one(facts, "gpu-not-in-torch")
    assert "compiled for: sm_50 sm_80 sm_86 sm_90" in finding.evidence
    assert finding.fix == (f"python -m pip install torch=={NEWEST}",)
    for gpu in (Gpu("A100", (8, 0)), Gpu("RTX 4090", (8, 9)), Gpu("of an old nvidia-smi", None)):
        facts = broken(torch=old, driver=gpu_driver("580.95.05", "13.0", gpu))
        assert found(facts, "gpu-not-in-torch") == []
    unread = broken(torch=replace(old, architectures=()), driver=facts.driver)
    assert found(unread, "gpu-not-in-torch") == []
