"""Driver and GPUs: whether they are there, and new enough."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.base.versions import same_major
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import driver_cuda, smi_note, what_is_of_cuda
from dcnbuild.doctor.torch_and_toolkit import driver_refuses, toolkit_fix, torch_fix
from dcnbuild.machine import compatibility
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Facts
from dcnbuild.machine.toolkit_choice import build_toolkit


@check("driver-mismatch")
def driver_mismatch(facts: Facts) -> Iterator[Verdict]:
    problem, machine = facts.driver.problem or "", facts.machine
    fix = (fixes.command("reboot", root=True),)
    if machine.container:
        fix = (fixes.say("Reboot the host of this container"),)
    elif machine.wsl:
        fix = (fixes.say("In Windows, run in PowerShell: wsl --shutdown"),)
    if "version mismatch" in problem.lower():
        yield Verdict(*fix, problem=" ".join(problem.split()))


@check("driver-missing")
def driver_missing(facts: Facts) -> Iterator[Verdict]:
    driver, machine = facts.driver, facts.machine
    if not driver.devices or driver.version or driver.gpus or machine.container or machine.wsl:
        return
    ubuntu = (machine.distribution or "").startswith("ubuntu")
    words = ("ubuntu-drivers", "install") if ubuntu else ("apt-get", "install", "nvidia-driver")
    fix = [fixes.command(*words, root=True)] if machine.package_manager == "apt-get" else []
    if machine.secure_boot and ubuntu:
        fix.append(fixes.command("update-secureboot-policy", "--enroll-key", root=True))
    elif machine.secure_boot:
        told = "Enrol the key of the driver modules with mokutil --import, or switch off Secure Boot"
        fix.append(fixes.say(told))
    yield Verdict(*fix, *([fixes.command("reboot", root=True)] if fix else []))


@check("gpu-missing")
def gpu_missing(facts: Facts) -> Iterator[Verdict]:
    driver = facts.driver
    if driver.devices or driver.version or driver.gpus or driver.cuda:
        return
    if facts.machine.container or facts.machine.wsl:  # another check says why
        return
    wanted = what_is_of_cuda(facts)
    if wanted:
        yield Verdict(wanted=wanted)


@check("driver-too-old")
def driver_too_old(facts: Facts) -> Iterator[Verdict]:
    driver, torch = facts.driver, facts.torch
    if torch is None or torch.cuda is None or not driver_refuses(facts):
        return
    served = driver.gpus and all(gpu.capability and gpu.capability >= (7, 5) for gpu in driver.gpus)
    newer = (fixes.say("Install the newest driver, which supports this GPU. To keep this driver:"),) if served else ()
    minimum, major = compatibility.minimum_driver(torch.cuda), numbers(torch.cuda)[0]
    yield Verdict(*newer, *torch_fix(facts), minimum=minimum, major=major)


@check("driver-older-than-toolkit")
def driver_older_than_toolkit(facts: Facts) -> Iterator[Verdict]:
    toolkit, driver = build_toolkit(facts), facts.driver
    if toolkit is None:
        return
    cuda = driver_cuda(driver)
    if cuda is None or numbers(cuda)[:2] >= numbers(toolkit.version)[:2]:
        return
    other = not same_major(cuda, toolkit.version)
    if other or facts.variables.get("TORCH_CUDA_ARCH_LIST", "").upper().endswith("+PTX"):
        smi = smi_note(facts, toolkit)
        yield Verdict(*toolkit_fix(facts), toolkit=toolkit, cuda=cuda, other=other, smi=smi)
