"""Containers, WSL, and what keeps a driver that is there from working: libcuda's errors, MIG, hidden GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dcnbuild.base import plain_yaml
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import describe_cuda, describe_gpu
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.machine.facts import Facts

_VISIBLE = "CUDA_VISIBLE_DEVICES"
#: How each runtime hands GPUs to a container, and what the errors of cuInit mean: surroundings.yaml.
_TABLE = plain_yaml.shipped(Path(__file__).parent.with_name("surroundings.yaml"))


@check("container-without-gpu", "A container that sees no GPU")
def container_without_gpu(facts: Facts) -> Iterator[Verdict]:
    """Nothing can be mended inside it: the host hands the GPUs in when the container starts."""
    machine, driver = facts.machine, facts.driver
    used = describe_cuda(facts)
    if not machine.container or driver.gpus or driver.error is not None or not used:
        return
    host = driver.version or driver.devices
    yield Verdict(
        "warning" if host else "note",
        "The host has an NVIDIA GPU, and this container was started without it."
        if host
        else "CUDA code can be compiled here, but not run: this container was started without a GPU.",
        (
            f"container: {machine.container}",
            f"driver of the host: {driver.version or 'not seen'}, no GPU inside",
            *([driver.problem] if driver.problem else []),
            *used,
        ),
        (fixes.say(_TABLE["start"].get(machine.container, "start it anew with access to the GPUs of the host")),),
    )


@check("wsl-without-gpu", "WSL sees no GPU")
def wsl_without_gpu(facts: Facts) -> Iterator[Verdict]:
    """WSL takes the driver of Windows; a Linux driver inside WSL hides it."""
    used = describe_cuda(facts)
    if not facts.machine.wsl or facts.machine.container or facts.driver.gpus or not used:
        return
    yield Verdict(
        "note" if facts.driver.problem is None else "warning",
        "WSL takes the NVIDIA driver of Windows, and none is seen; no Linux driver belongs into WSL.",
        (facts.driver.problem or "no libcuda.so.1 in /usr/lib/wsl/lib", *used),
        (
            fixes.say("in Windows: install its NVIDIA driver, then in PowerShell:"),
            fixes.say("wsl --update"),
            fixes.say("wsl --shutdown"),
        ),
    )


@check("cuda-not-initialised", "The NVIDIA driver refuses to start CUDA")
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
    yield Verdict(
        "error", row["cause"], (f"cuInit: error {error}", *(f"LD_LIBRARY_PATH: {text}" for text in wrong)), fix
    )


@check("mig-without-instance", "GPUs in MIG mode without an instance")
def mig_without_instance(facts: Facts) -> Iterator[Verdict]:
    """In MIG mode CUDA sees instances only; nvidia-smi is asked where CUDA sees no GPU."""
    driver = facts.driver
    if driver.mig and driver.cuda and "nvidia-smi" in driver.found_by and driver.error is None:
        yield Verdict(
            "error",
            "The GPU is in MIG mode and has no instance, so that CUDA sees no GPU.",
            (f"in MIG mode: {driver.mig}", *map(describe_gpu, driver.gpus)),
            (
                fixes.say("profile 0 is the whole GPU; nvidia-smi mig -lgip lists the others:"),
                fixes.command("nvidia-smi", "mig", "-cgi", "0", "-C", root=True),
            ),
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


@check("gpu-hidden", "CUDA_VISIBLE_DEVICES hides GPUs that were meant")
def gpu_hidden(facts: Facts) -> Iterator[Verdict]:
    value, gpus = facts.variables.get(_VISIBLE), facts.driver.gpus
    found = visible_gpus(value, len(gpus)) if value is not None and gpus else None
    if found is None or found[1] is None:
        return
    seen, entry = found
    last = len(gpus) - 1
    yield Verdict(
        "note" if seen else "warning",
        f"torch sees no GPU, because {_VISIBLE} hides them all."
        if not seen
        else f"torch sees {len(seen)} GPU{'s' * (len(seen) > 1)} only: CUDA stops reading at {entry!r}.",
        (f"{_VISIBLE}={value}", f"there is GPU 0{f' to {last}' if last else ''}", *map(describe_gpu, gpus)),
        (fixes.unset_env(_VISIBLE),),
    )
