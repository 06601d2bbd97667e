"""Driver and GPUs: are they there and new enough, and what hides them: containers, WSL, MIG, libcuda's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import same_major
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict
from dcnbuild.doctor.checks.evidence import smi_note, what_is_of_cuda
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.torch_and_toolkit import toolkit_fix, torch_fix
from dcnbuild.machine import compatibility
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Facts
from dcnbuild.machine.gpus import driver_cuda, driver_refuses, visible_gpus
from dcnbuild.machine.toolkit_choice import build_toolkit

_VISIBLE = "CUDA_VISIBLE_DEVICES"
#: How each runtime hands GPUs to a container, and what the errors of cuInit mean: surroundings.yaml.
_TABLE = plain_yaml.beside(__file__, "../surroundings.yaml")


def container_without_gpu(facts: Facts) -> Iterator[Verdict]:
    """Nothing inside the container can fix this: the host passes the GPUs in when the container starts."""
    machine, driver = facts.machine, facts.driver
    used = what_is_of_cuda(facts)
    if not machine.container or driver.gpus or driver.error is not None or not used:
        return
    start = _TABLE["start"].get(machine.container, "Start the container again with access to the GPUs of the host")
    yield Verdict(*map(fixes.say, start.splitlines()), host=driver.version or driver.devices, used=used)


def wsl_without_gpu(facts: Facts) -> Iterator[Verdict]:
    """WSL uses the driver of Windows. A Linux driver inside WSL hides it."""
    used = what_is_of_cuda(facts)
    if facts.machine.wsl and not facts.machine.container and not facts.driver.gpus and used:
        told = ("In Windows, install the NVIDIA driver, then run in PowerShell:", "wsl --update", "wsl --shutdown")
        yield Verdict(*map(fixes.say, told), used=used)


def cuda_not_initialised(facts: Facts) -> Iterator[Verdict]:
    error, machine = facts.driver.error, facts.machine
    if error is None or "version mismatch" in (facts.driver.problem or "").lower():  # another check says why
        return
    row = _TABLE["errors"].get(error, {"cause": "The driver is installed, but CUDA cannot be started."})
    fix: tuple[Fix, ...] = tuple(fixes.command(*words, root=root) for root, *words in row.get("fix", ()))
    entries = [entry.text for entry in facts.paths if entry.variable == "LD_LIBRARY_PATH"]
    wrong = [text for text in entries if re.search(r"stubs|compat", text)] if error in (34, 803, 804) else []
    if wrong:
        fix = (fixes.set_list("LD_LIBRARY_PATH", [text for text in entries if text not in wrong]),)
    elif machine.container and error in (802, 803, 999):
        fix = (fixes.say("On the host, not in this container:"), *fix)
    yield Verdict(*fix, why=row["cause"], wrong=wrong)


def mig_without_instance(facts: Facts) -> Iterator[Verdict]:
    """In MIG mode, CUDA sees only instances. Where CUDA sees no GPU, the doctor asks nvidia-smi."""
    driver = facts.driver
    if driver.mig and driver.cuda and "nvidia-smi" in driver.found_by and driver.error is None:
        told = "Create an instance. Profile 0 is the whole GPU, and nvidia-smi mig -lgip lists the others:"
        yield Verdict(fixes.say(told), fixes.command("nvidia-smi", "mig", "-cgi", "0", "-C", root=True))


def gpu_hidden(facts: Facts) -> Iterator[Verdict]:
    value, gpus = facts.variables.get(_VISIBLE), facts.driver.gpus
    visible = visible_gpus(value, len(gpus)) if value is not None and gpus else None
    if visible is not None and visible[1] is not None:
        seen = len(visible[0])
        named = {"seen": seen, "s": "s" * (seen > 1), "entry": repr(visible[1]), "last": len(gpus) - 1}
        yield Verdict(fixes.unset_env(_VISIBLE), **named)


def driver_mismatch(facts: Facts) -> Iterator[Verdict]:
    problem, machine = facts.driver.problem or "", facts.machine
    fix = fixes.command("reboot", root=True)
    if machine.container:
        fix = fixes.say("Reboot the host of this container")
    elif machine.wsl:
        fix = fixes.say("In Windows, run in PowerShell: wsl --shutdown")
    if "version mismatch" in problem.lower():
        yield Verdict(fix, problem=" ".join(problem.split()))


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
        fix.append(fixes.say("Enrol the key of the driver modules with mokutil --import, or switch off Secure Boot"))
    yield Verdict(*fix, *([fixes.command("reboot", root=True)] if fix else []))


def gpu_missing(facts: Facts) -> Iterator[Verdict]:
    driver = facts.driver
    elsewhere = facts.machine.container or facts.machine.wsl  # another check says why
    wanted = what_is_of_cuda(facts)
    if wanted and not (driver.devices or driver.version or driver.gpus or driver.cuda or elsewhere):
        yield Verdict(wanted=wanted)


def driver_too_old(facts: Facts) -> Iterator[Verdict]:
    driver, torch = facts.driver, facts.torch
    if torch is None or torch.cuda is None or not driver_refuses(facts):
        return
    served = driver.gpus and all(gpu.capability and gpu.capability >= (7, 5) for gpu in driver.gpus)
    newer = (fixes.say("Install the newest driver, which supports this GPU. To keep this driver:"),) if served else ()
    minimum, major = compatibility.minimum_driver(torch.cuda), numbers(torch.cuda)[0]
    yield Verdict(*newer, *torch_fix(facts), minimum=minimum, major=major)


def driver_older_than_toolkit(facts: Facts) -> Iterator[Verdict]:
    toolkit, cuda = build_toolkit(facts), driver_cuda(facts.driver)
    if toolkit is None or cuda is None or numbers(cuda)[:2] >= numbers(toolkit.version)[:2]:
        return
    other = not same_major(cuda, toolkit.version)
    if other or facts.variables.get("TORCH_CUDA_ARCH_LIST", "").upper().endswith("+PTX"):
        yield Verdict(*toolkit_fix(facts), toolkit=toolkit, cuda=cuda, other=other, smi=smi_note(facts, toolkit))
