"""The torch wheels of PyTorch's index, and which of them a machine can use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dcnbuild.base.versions import allows
from dcnbuild.machine import compatibility, versions
from dcnbuild.machine.compatibility import TorchRelease, numbers
from dcnbuild.machine.facts import Driver, Facts, Gpu
from dcnbuild.machine.gpus import has_gpu, unserved
from dcnbuild.machine.wish import Wish


@dataclass(frozen=True)
class Wheel:
    """One torch wheel: `cuda` is None for the one without CUDA."""

    torch: str
    cuda: str | None
    release: TorchRelease

    @property
    def tag(self) -> str:
        """What its version ends in on PyTorch's wheel index: "cu130" or "cpu"."""
        return versions.tag(self.cuda) if self.cuda else "cpu"

    @property
    def label(self) -> str:
        """What people call it, e.g. "2.14.1 (CUDA 13.0)"."""
        return f"{self.torch} ({f'CUDA {self.cuda}' if self.cuda else 'CPU'})"


def wheels(wish: Wish, facts: Facts) -> Iterator[Wheel]:
    """The wheels to try, best first: newest torch, of it the default CUDA, then newer ones first.

    Of each minor release only the newest version that is meant. Without a GPU it is a machine that builds for
    others if it has nvcc or a torch for CUDA: then with CUDA too, of the major that the toolkits are.
    """
    majors = {numbers(toolkit.version)[:1] for toolkit in facts.toolkits}
    builds = bool(majors or (facts.torch and facts.torch.cuda))
    for release in reversed(compatibility.table().torch):
        others = sorted(set(release.variants) - {release.default}, key=numbers, reverse=True)
        variants: list[str | None] = [release.default, *others]
        if not has_gpu(facts):
            variants.sort(key=lambda cuda: bool(majors) and numbers(cuda or "")[:1] not in majors)
        if wish.tag is not None:
            variants = [cuda for cuda in [*variants, None] if Wheel("", cuda, release).tag == wish.tag]
        elif not has_gpu(facts) and not builds:
            variants = [None]
        for version in wish.versions(release)[:1]:
            yield from (Wheel(version, cuda, release) for cuda in variants)


def rejection(wheel: Wheel, facts: Facts) -> str | None:
    """Why this machine cannot use a wheel; None if nothing speaks against it."""
    if not wheel.release.supports_python(facts.python.version):
        low, high = wheel.release.python
        return f"needs Python {low} to {high}, this is {facts.python.version}"
    for source, text in facts.python.constraints:
        if allows(text, {"torch": wheel.torch}) is False:
            return f"pip is constrained to {text} ({source})"
    if wheel.cuda is None:
        return None
    of_gpus = (_gpu_rejection(wheel, gpu) for gpu in facts.driver.gpus)
    return _driver_rejection(wheel.cuda, facts.driver) or next(filter(None, of_gpus), None)


def _driver_rejection(cuda: str, driver: Driver) -> str | None:
    if driver.version and compatibility.driver_runs(driver.version, cuda) is False:
        minimum = compatibility.minimum_driver(cuda)
        return f"needs driver {minimum} or newer, this is {driver.version}"
    if not driver.version and driver.cuda and numbers(cuda)[:1] > numbers(driver.cuda)[:1]:
        return f"needs a driver for CUDA {cuda}, this one runs CUDA {driver.cuda}"
    return None


def _gpu_rejection(wheel: Wheel, gpu: Gpu) -> str | None:
    if gpu.capability is None or wheel.cuda is None:
        return None
    names = wheel.release.variants.get(wheel.cuda, ())
    if not names:  # what the wheel holds is not known, but it is no more than its toolkit knows
        toolkit, number = compatibility.cuda_release(wheel.cuda), gpu.capability[0] * 10 + gpu.capability[1]
        known = toolkit.architectures if toolkit else ()
        if not known or known[0] <= number < (known[-1] // 10 + 1) * 10:
            return None
        return f"CUDA {wheel.cuda} does not know the {gpu.name} (compute capability {gpu.number})"
    if unserved(names, (gpu,)):
        return f"has no code for the {gpu.name} (compute capability {gpu.number})"
    return None
