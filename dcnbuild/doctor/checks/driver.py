"""Driver and GPUs: whether they are there, and new enough."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.base.versions import same_major
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import (
    describe_cuda,
    describe_driver,
    describe_toolkit,
    describe_torch,
    driver_cuda,
    smi_note,
)
from dcnbuild.doctor.torch_and_toolkit import driver_refuses, toolkit_fix, torch_fix
from dcnbuild.machine import compatibility
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Driver, Facts
from dcnbuild.machine.toolkit_choice import build_toolkit


def _driver_line(driver: Driver) -> str:
    return f"driver {describe_driver(driver)} ({', '.join(driver.found_by)})"


@check("driver-mismatch", "The NVIDIA driver was updated, but not reloaded")
def driver_mismatch(facts: Facts) -> Iterator[Verdict]:
    problem, machine = facts.driver.problem or "", facts.machine
    fix = (fixes.command("reboot", root=True),)
    if machine.container:
        fix = (fixes.say("reboot the host of this container"),)
    elif machine.wsl:
        fix = (fixes.say("in Windows, in PowerShell: wsl --shutdown"),)
    if "version mismatch" in problem.lower():
        yield Verdict(
            *("error", "The driver loaded in the kernel is another version than the driver's libraries."),
            (" ".join(problem.split()),),
            fix,
        )


@check("driver-missing", "An NVIDIA GPU without a working driver")
def driver_missing(facts: Facts) -> Iterator[Verdict]:
    driver, machine = facts.driver, facts.machine
    if not driver.devices or driver.version or driver.gpus or machine.container or machine.wsl:
        return
    evidence = [f"NVIDIA devices on the PCI bus: {driver.devices}", "no loaded NVIDIA driver"]
    if driver.problem:
        evidence.append(driver.problem)
    ubuntu = (machine.distribution or "").startswith("ubuntu")
    words = ("ubuntu-drivers", "install") if ubuntu else ("apt-get", "install", "nvidia-driver")
    fix = [fixes.command(*words, root=True)] if machine.package_manager == "apt-get" else []
    if machine.secure_boot:
        evidence.append("Secure Boot is on: the kernel loads signed modules only")
        fix.append(
            fixes.command("update-secureboot-policy", "--enroll-key", root=True)
            if ubuntu
            else fixes.say(
                "enrol the key of the modules of the driver with mokutil --import, or switch Secure Boot off"
            )
        )
    yield Verdict(
        "error",
        "A GPU is in the machine, but no driver for it is loaded, so nothing can use it.",
        tuple(evidence),
        (*fix, fixes.command("reboot", root=True)) if fix else (),
    )


@check("gpu-missing", "No NVIDIA GPU, no driver")
def gpu_missing(facts: Facts) -> Iterator[Verdict]:
    driver = facts.driver
    if driver.devices or driver.version or driver.gpus or driver.cuda:
        return
    if facts.machine.container or facts.machine.wsl:  # another check says why
        return
    wanted = describe_cuda(facts)
    if wanted:
        yield Verdict(
            "note",
            "CUDA code can be compiled here, but not run: there is no NVIDIA GPU or driver.",
            (
                "no /proc/driver/nvidia/version, no libcuda.so.1, no nvidia-smi",
                *((driver.problem,) if driver.problem else ()),
                *wanted,
            ),
        )


@check("driver-too-old", "The NVIDIA driver is too old for this torch")
def driver_too_old(facts: Facts) -> Iterator[Verdict]:
    driver, torch = facts.driver, facts.torch
    if torch is None or torch.cuda is None or not driver_refuses(facts):
        return
    minimum = compatibility.minimum_driver(torch.cuda)
    needs = f"CUDA {torch.cuda} needs driver {minimum} or newer"
    served = driver.gpus and all(gpu.capability and gpu.capability >= (7, 5) for gpu in driver.gpus)
    newer = (fixes.say("the newest driver serves this GPU too, or, with the driver as it is:"),) if served else ()
    if driver.version is None:
        needs = f"CUDA {torch.cuda} needs a driver for CUDA {numbers(torch.cuda)[0]}.x"
    yield Verdict(
        "error",
        f"torch was built with CUDA {torch.cuda}, which this driver cannot run.",
        (_driver_line(driver), describe_torch(facts), needs),
        (*newer, *torch_fix(facts)),
    )


@check("driver-older-than-toolkit", "The NVIDIA driver is older than the CUDA toolkit")
def driver_older_than_toolkit(facts: Facts) -> Iterator[Verdict]:
    toolkit, driver = build_toolkit(facts), facts.driver
    if toolkit is None:
        return
    cuda = driver_cuda(driver)
    if cuda is None or numbers(cuda)[:2] >= numbers(toolkit.version)[:2]:
        return
    evidence = (_driver_line(driver), describe_toolkit(toolkit), *smi_note(facts, toolkit))
    fix = toolkit_fix(facts)
    if not same_major(cuda, toolkit.version):
        yield Verdict(
            "error", f"What CUDA {toolkit.version} compiles does not run on a driver for CUDA {cuda}.", evidence, fix
        )
    elif facts.variables.get("TORCH_CUDA_ARCH_LIST", "").upper().endswith("+PTX"):
        yield Verdict(
            "warning",
            f"PTX from CUDA {toolkit.version} cannot be translated by a driver for CUDA {cuda}: "
            "GPUs for which no machine code was compiled will refuse the library.",
            (*evidence, f"TORCH_CUDA_ARCH_LIST={facts.variables['TORCH_CUDA_ARCH_LIST']}"),
            fix,
        )
