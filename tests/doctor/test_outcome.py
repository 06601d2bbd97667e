"""Tests fixes together: after pasting a report from top to bottom, the machine works."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from doctor.machines import RTX_4090, RTX_5090, V100, broken, gcc, gpu_driver, toolkit, torch
from doctor.paste import paste

from dcnbuild.doctor.checks import examine
from dcnbuild.doctor.examples import EXAMPLES, HEALTHY
from dcnbuild.errors import Finding
from dcnbuild.machine.facts import CudaHome, Facts, PackageHeaders, PathEntry, Toolkit

#: What a paste cannot mend, and why.
LEFT = {
    "driver-mismatch": "takes a reboot",
    "driver-missing": "takes a reboot",
    "cuda-not-initialised": "takes the driver to start",
    "mig-without-instance": "takes nvidia-smi",
    "disk-full": "the space is the user's to make",
    "library-unreadable": "the file is the user's",
    "library-other-python": "the library is the user's to build",
    "library-other-torch": "the library is the user's to build",
    "library-needs-missing": "the library is the user's to build",
    "gpu-not-in-library": "the library is the user's to build",
    "torch-never-existed": "is about the question",
    "torch-not-for-this-machine": "is about the question",
}


def lines(findings: list[Finding]) -> tuple[str, ...]:
    return tuple(line for finding in findings for line in finding.fix)


def after(facts: Facts) -> list[Finding]:
    """The errors that are left when everything was pasted."""
    findings = examine(facts)
    errors = [item for item in examine(paste(facts, lines(findings))) if item.severity == "error"]
    return [item for item in errors if item.id not in LEFT]


@pytest.mark.parametrize("id", sorted(EXAMPLES))
def test_no_error_is_left_of_any_example(id: str) -> None:
    facts = EXAMPLES[id]
    assert after(replace(facts, wanted_torch=None)) == []


HOMES = {
    "none": None,
    "unset": CudaHome(Path("/usr/local/cuda"), "/usr/local/cuda", False, False, False),
    "wrong": CudaHome(Path("/nonexistent"), "CUDA_HOME", False, False, False),
}
TOOLKITS: dict[str, tuple[Toolkit, ...]] = {
    "no toolkit": (),
    "13.0": (toolkit("13.0"),),
    "11.8": (toolkit("11.8"),),
    "12.1 behind 13.0": (toolkit("13.0"), toolkit("12.1", "/usr/local/cuda-12.1")),
    "13.0 without headers": (replace(toolkit("13.0"), missing=("cusparse.h",)),),
    "12.4 without nvcc's parts": (replace(toolkit("12.4"), missing=("cicc", "cusparse.h")),),
    "13.0 with headers of 12.4": (replace(toolkit("13.0"), headers_version="12.4"),),
}
TORCHES = {
    "cu124": torch("2.5.1+cu124", "12.4", "sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"),
    "cu130": torch("2.14.1+cu130", "13.0", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"),
    "cu118": torch("2.1.2+cu118", "11.8", "sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"),
    "cpu": torch("2.14.1+cpu", None),
    "rocm": torch("2.5.1+rocm6.2", None, hip="6.2"),
    "no torch": None,
}
DRIVERS = {
    "new": gpu_driver("580.95.05", "13.0", RTX_4090),
    "old": gpu_driver("535.104.05", "12.2", RTX_4090),
    "V100": gpu_driver("580.95.05", "13.0", V100),
    "5090": gpu_driver("580.95.05", "13.0", RTX_5090),
}
#: Headers of CUDA 12.4 in the Python environment, as torch 2.5.1 brings them.
LENDER = PackageHeaders(Path("/home/ada/venv/nvidia/cusparse/include"), ("cusparse.h",), "12.4")


def machines() -> list[Facts]:
    found = []
    combinations = product(TOOLKITS.values(), HOMES.values(), TORCHES.values(), DRIVERS.values())
    for number, (kits, home, installed, driver) in enumerate(combinations):
        system = "debian 12" if number % 11 < 5 else "ubuntu 24.04"
        new = "15.1.0" if number % 5 in (1, 3) else "11.4.0"  # 5 divides no number of choices
        paths = [PathEntry("PATH", "/usr/bin", True)]
        paths[:0] = [
            PathEntry("PATH", f"{kit.root}/bin", True, cuda=kit.version)
            for kit in kits
            if kit.found_by[0].startswith("PATH")
        ]
        guess = home or (CudaHome(kits[0].root, kits[0].found_by[0]) if kits else None)
        variables = {"HOME": "/home/ada", "SHELL": "/bin/bash"}
        if home and home.taken_from == "CUDA_HOME":
            variables["CUDA_HOME"] = str(home.path)
        found.append(
            broken(
                toolkits=kits, cuda_home=guess, torch=installed, driver=driver, paths=tuple(paths),
                variables=variables, package_headers=(LENDER,), machine=replace(HEALTHY.machine, distribution=system),
                compilers=(gcc(new), gcc(new, "gcc")), nvcc_compiler=gcc(new, "gcc"),
            )
        )  # fmt: skip
    return found


def test_pasting_leaves_no_error_on_any_combination() -> None:
    for facts in machines():
        left = after(facts)
        assert left == [], (
            facts.torch,
            facts.toolkits,
            facts.cuda_home,
            facts.driver,
            lines(examine(facts)),
        )


@cache
def reports() -> list[tuple[str, ...]]:
    return [lines(examine(facts)) for facts in machines()]


def test_one_report_names_one_toolkit_and_one_torch() -> None:
    for said in reports():
        homes = {line for line in said if line.startswith("export CUDA_HOME")}
        torches = {line for line in said if " torch==" in line}
        assert len(homes) <= 1 and len(torches) <= 1, said


def test_nothing_is_written_into_a_toolkit() -> None:
    """Headers of one CUDA in the toolkit of another make nvcc refuse every file."""
    for said in reports():
        for line in said:
            assert not re.search(r"\b(cp|ln|mv|install -m)\b .*/cuda", line), line


def test_what_a_rejected_toolkit_lacks_is_not_mended() -> None:
    """torch for CUDA 12.4 beside an incomplete CUDA 13.0, and headers of 12.4 in the environment."""
    kit = replace(toolkit("13.0", "CUDA_HOME"), missing=("cusparse.h", "cublas_v2.h"))
    facts = broken(torch=TORCHES["cu124"], toolkits=(kit,), package_headers=(LENDER,))
    findings = examine(facts)
    assert [item.id for item in findings if item.severity == "error"] == ["cuda-mismatch"]
    assert "toolkit-incomplete" not in [item.id for item in findings]
    assert lines(findings) == (
        "# Install from the package repository of NVIDIA:",
        "sudo apt-get install cuda-toolkit-12-5",
        "export CUDA_HOME=/usr/local/cuda-12.5",
    )
