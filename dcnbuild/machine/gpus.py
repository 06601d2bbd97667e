"""What the driver and the GPUs of a machine run, and which of them CUDA shows to a program."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dcnbuild.base.versions import numbers
from dcnbuild.machine import compatibility
from dcnbuild.machine.architectures import best_match
from dcnbuild.machine.facts import Driver, Facts, Gpu


def has_gpu(facts: Facts) -> bool:
    """Whether there is an NVIDIA GPU, with a driver or not."""
    return bool(facts.driver.gpus or facts.driver.version or facts.driver.devices)


def unserved(names: Iterable[str], gpus: Iterable[Gpu]) -> Gpu | None:
    """The first of the GPUs that code for these architectures does not run on."""
    return next((gpu for gpu in gpus if gpu.capability and best_match(names, gpu.capability) is None), None)


def driver_refuses(facts: Facts) -> bool:
    """Whether the driver is too old for the installed torch."""
    driver, cuda = facts.driver, facts.torch.cuda if facts.torch else None
    if cuda is None:
        return False
    listed = compatibility.driver_runs(driver.version, cuda) if driver.version else None
    return listed is False or (driver.cuda is not None and numbers(driver.cuda)[:1] < numbers(cuda)[:1])


def unserved_gpu(facts: Facts) -> Gpu | None:
    """A GPU that the installed torch has no code for."""
    names = facts.torch.architectures if facts.torch else ()
    return unserved(names, facts.driver.gpus) if names else None


def driver_cuda(driver: Driver) -> str | None:
    """The newest CUDA that a driver runs: what libcuda says, else what its version tells."""
    return driver.cuda or (compatibility.cuda_of_driver(driver.version) if driver.version else None)


def compiles_for(toolkit: str, gpu: Gpu, cuda: str) -> bool:
    """Whether a toolkit compiles for a GPU what a torch of this CUDA asks it to.

    That is code for the GPU itself where torch's own CUDA knows it: nvcc refuses architectures newer than itself.
    """
    row = compatibility.cuda_release(toolkit)
    if row is None or gpu.capability is None:
        return True
    name = "compute_{}{}".format(*gpu.capability)
    too_new = compatibility.compiles_for(toolkit, name) is False and compatibility.compiles_for(cuda, name) is True
    return not too_new and unserved([f"compute_{number}" for number in row.architectures], (gpu,)) is None


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


def filled(used: str, total: str) -> bool:
    """Whether of so much memory, both in MiB, less than a twentieth is free."""
    return bool(used and total) and int(used) * 20 > int(total) * 19
