"""Containers, WSL, and what keeps a driver that is there from working: libcuda's errors, MIG, hidden GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.base import plain_yaml
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import what_is_of_cuda
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.machine.facts import Facts

_VISIBLE = "CUDA_VISIBLE_DEVICES"
#: How each runtime hands GPUs to a container, and what the errors of cuInit mean: surroundings.yaml.
_TABLE = plain_yaml.beside(__file__, "../surroundings.yaml")


@check("container-without-gpu")
def container_without_gpu(facts: Facts) -> Iterator[Verdict]:
    """Nothing can be mended inside it: the host hands the GPUs in when the container starts."""
    machine, driver = facts.machine, facts.driver
    used = what_is_of_cuda(facts)
    if not machine.container or driver.gpus or driver.error is not None or not used:
        return
    start = _TABLE["start"].get(machine.container, "Start the container again with access to the GPUs of the host")
    yield Verdict(*map(fixes.say, start.splitlines()), host=driver.version or driver.devices, used=used)


@check("wsl-without-gpu")
def wsl_without_gpu(facts: Facts) -> Iterator[Verdict]:
    """WSL takes the driver of Windows; a Linux driver inside WSL hides it."""
    used = what_is_of_cuda(facts)
    if facts.machine.wsl and not facts.machine.container and not facts.driver.gpus and used:
        told = ("in Windows: install its NVIDIA driver, then in PowerShell:", "wsl --update", "wsl --shutdown")
        yield Verdict(*map(fixes.say, told), used=used)


@check("cuda-not-initialised")
def cuda_not_initialised(facts: Facts) -> Iterator[Verdict]:
    error, machine = facts.driver.error, facts.machine
    if error is None or "version mismatch" in (facts.driver.problem or "").lower():  # another check says why
        return
    row = _TABLE["errors"].get(error, {"cause": "The driver is there, and CUDA cannot be started."})
    fix: tuple[Fix, ...] = tuple(fixes.command(*words, root=root) for root, *words in row.get("fix", ()))
    entries = [entry.text for entry in facts.paths if entry.variable == "LD_LIBRARY_PATH"]
    wrong = [text for text in entries if re.search(r"stubs|compat", text)] if error in (34, 803, 804) else []
    if wrong:
        fix = (fixes.set_list("LD_LIBRARY_PATH", [text for text in entries if text not in wrong]),)
    elif machine.container and error in (802, 803, 999):
        fix = (fixes.say("on the host, not in this container:"), *fix)
    yield Verdict(*fix, why=row["cause"], wrong=wrong)


@check("mig-without-instance")
def mig_without_instance(facts: Facts) -> Iterator[Verdict]:
    """In MIG mode CUDA sees instances only; nvidia-smi is asked where CUDA sees no GPU."""
    driver = facts.driver
    if driver.mig and driver.cuda and "nvidia-smi" in driver.found_by and driver.error is None:
        yield Verdict(
            fixes.say("profile 0 is the whole GPU; nvidia-smi mig -lgip lists the others:"),
            fixes.command("nvidia-smi", "mig", "-cgi", "0", "-C", root=True),
        )


def visible_gpus(text: str, count: int) -> tuple[list[int], str | None] | None:
    """Which of `count` GPUs CUDA_VISIBLE_DEVICES leaves, and the entry at which CUDA stops reading.

    None where it names GPUs by UUID. Source: CUDA C++ Programming Guide, "CUDA Environment Variables": what follows
    an invalid entry is not seen, and a GPU that is named twice hides all.
    """
    seen: list[int] = []
    for entry in text.split(","):
        entry = entry.strip()
        if re.match(r"(?:GPU|MIG)-", entry):
            return None
        if not re.fullmatch(r"\d{1,4}", entry, re.ASCII) or int(entry) >= count:
            return seen, entry
        if int(entry) in seen:
            return [], entry
        seen.append(int(entry))
    return seen, None


@check("gpu-hidden")
def gpu_hidden(facts: Facts) -> Iterator[Verdict]:
    value, gpus = facts.variables.get(_VISIBLE), facts.driver.gpus
    visible = visible_gpus(value, len(gpus)) if value is not None and gpus else None
    if visible is not None and visible[1] is not None:
        seen = len(visible[0])
        named = {"seen": seen, "s": "s" * (seen > 1), "entry": repr(visible[1]), "last": len(gpus) - 1}
        yield Verdict(fixes.unset_env(_VISIBLE), **named)
