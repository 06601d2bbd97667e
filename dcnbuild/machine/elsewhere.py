"""Facts of a machine with a GPU and a driver that are not there yet; `facts_json` reads somebody's report."""

from __future__ import annotations

import dataclasses
import difflib
import re
from functools import cache

from dcnbuild.base import plain_yaml
from dcnbuild.machine import compatibility
from dcnbuild.machine.compatibility import cuda_of_driver
from dcnbuild.machine.facts import Driver, Facts, Gpu

#: What is part of a GPU's name on a box and not in the table.
_BRANDS = re.compile(r"\b(?:nvidia|geforce|tesla|quadro|laptop gpu|gpu)\b|\b\d+ ?gb\b|-\d+gb\b|\b(?:sxm|pcie|nvl)\d?\b")


def with_gpu(facts: Facts, gpu: str | None, driver: str | None) -> Facts:
    """The facts as if this GPU and this driver were there; what is None stays as it is.

    A GPU is "RTX 5090", "12.0" or "sm_120", a driver "570" or "535.104.05". Raises ValueError for what is neither.
    """
    given, there = facts.driver, facts.driver
    if driver is not None:
        if not re.fullmatch(r"\d{3}(?:\.\d{1,3}){0,2}", driver, re.ASCII):
            raise ValueError(f"--driver {driver}: no driver version (expected e.g. 570 or 535.104.05)")
        there = Driver(driver, cuda_of_driver(driver), ("--driver",), given.gpus, devices=1)
    if gpu is not None:
        version, cuda = (there.version, there.cuda) if driver is not None else (None, None)
        there = Driver(version, cuda, (*there.found_by, "--gpu"), (find_gpu(gpu),), devices=1)
    return dataclasses.replace(facts, driver=there)


@cache
def _names() -> dict[str, Gpu]:
    """A plain spelling → the GPU."""
    rows: dict[str, list[str]] = plain_yaml.shipped(compatibility.TABLE.with_name("gpus.yaml"))
    named = ((name, (int(number[:-2]), int(number[-1]))) for number, names in rows.items() for name in names)
    return {_plain(name): Gpu(f"NVIDIA {name}", capability) for name, capability in named}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", _BRANDS.sub(" ", name.lower()))


def find_gpu(text: str) -> Gpu:
    """The GPU that somebody means: by name or compute capability. Raises ValueError."""
    number = re.fullmatch(r"(?:(?:sm|compute)_?)?(\d{1,2})\.?(\d)[af]?", text.strip(), re.ASCII)
    if number:
        return Gpu(f"GPU of compute capability {number[1]}.{number[2]}", (int(number[1]), int(number[2])))
    plain = _plain(text)
    found = next((_names()[name] for name in (plain, f"rtx{plain}", f"gtx{plain}") if name in _names()), None)
    if found is None:
        near = difflib.get_close_matches(_plain(text), _names(), 3, 0.5)
        hint = f"; near it: {', '.join(_names()[item].name.removeprefix('NVIDIA ') for item in near)}" if near else ""
        raise ValueError(f"--gpu {text}: not in the table of GPUs{hint}. Its compute capability, e.g. 9.0, will do.")
    return found
