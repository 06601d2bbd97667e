"""The pip line: the newest torch wheel that this driver, these GPUs and this Python can use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import allows
from dcnbuild.doctor.fixes import INDEX, exchange, pip_install, say
from dcnbuild.doctor.fixes.fix import Fix, Target
from dcnbuild.machine import compatibility, versions
from dcnbuild.machine.compatibility import TorchRelease, companions, numbers
from dcnbuild.machine.facts import Driver, Facts, Gpu
from dcnbuild.machine.gpus import has_gpu, unserved
from dcnbuild.machine.wish import Wish, parse_wish

JETSON = "https://docs.nvidia.com/deeplearning/frameworks/install-pytorch-jetson-platform/"
_INDEX_OF_JETPACK = plain_yaml.beside(__file__, "surroundings.yaml")["jetson"]


def jetson_torch(release: str) -> Fix:
    """Installs NVIDIA's torch of a Jetson, by its JetPack or L4T: "6.2", "R36 (release), REVISION: 4.3"."""
    major = re.search(r"\d+", release)
    index = _INDEX_OF_JETPACK.get(int(major[0])) if major else None
    if index is None:
        return say(f"Install the torch of NVIDIA for this JetPack, not the one of PyPI: {JETSON}")
    return exchange("torch", "torchvision", "torchaudio", index=("--index-url", index))


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


@dataclass(frozen=True)
class Resolution:
    """What to install, and why not something newer.

    Attributes:
        wheel: the newest wheel that works, None if none does or none can be told.
        fix: what installs it, None without a wheel; `line` is the command.
        rejected: (wheel, reason) for each wheel that was preferred to it, best first.
        problem: why there is no wheel, one sentence; None if there is one.
        asked: what was understood of the wish for a torch, None without one.
    """

    wheel: Wheel | None = None
    fix: Fix | None = None
    line: str | None = None
    rejected: tuple[tuple[Wheel, str], ...] = ()
    problem: str | None = None
    asked: str | None = None

    def reasons(self) -> list[str]:
        """Each reason once, with the wheels it holds for: "2.15.0 (CUDA 13.2): …"."""
        grouped: dict[str, list[str]] = {}
        for wheel, reason in self.rejected:
            grouped.setdefault(reason, []).append(wheel.label)
        return [f"{_shortened(labels)}: {reason}" for reason, labels in grouped.items()]


def _shortened(labels: list[str]) -> str:
    if len(labels) <= 3:
        return ", ".join(labels)
    return f"{labels[0]}, {labels[1]} … {labels[-1]} ({len(labels)} wheels)"


def resolve(facts: Facts, torch: str | None = None) -> Resolution:
    """The newest wheel for this machine and the line that installs it.

    Args:
        facts: driver, GPUs and Python count; what torch is installed does not.
        torch: which one is wanted, as `parse_wish` takes it; by default any.

    Raises ValueError for a text that asks for nothing.
    """
    machine = facts.machine
    if machine.jetson is not None:
        said = f"a Jetson needs the wheels of NVIDIA: {JETSON}"
        return Resolution(problem=said, fix=jetson_torch(machine.jetson))
    if machine.system not in ("Linux", "Windows") or machine.architecture not in ("x86_64", "AMD64"):
        return Resolution(problem="the table of wheels covers Linux and Windows on x86-64 only.")
    wish = parse_wish(torch) if torch is not None else Wish()
    problem, asked = wish.unknown(), str(wish) if torch is not None else None
    if problem:
        return Resolution(problem=problem, asked=asked)
    rejected: list[tuple[Wheel, str]] = []
    for wheel in wheels(wish, facts):
        reason = rejection(wheel, facts)
        if reason is None:
            fix = install_fix(facts, wheel)
            line = " && ".join(fix.lines(Target.of(facts)))
            return Resolution(wheel, fix, line, tuple(rejected), asked=asked)
        rejected.append((wheel, reason))
    problem = "no torch wheel works on this machine."
    return Resolution(rejected=tuple(rejected), problem=problem, asked=asked)


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


def install_fix(facts: Facts, wheel: Wheel) -> Fix:
    """The pip command that installs a wheel, and what has to go along with it.

    torchvision and torchaudio are compiled against one torch: those that are installed are exchanged too.
    Source of the three forms: https://pytorch.org/get-started/previous-versions/.
    """
    package = f"torch=={wheel.torch}"
    index: tuple[str, ...] = ()
    if wheel.cuda != wheel.release.default or facts.machine.system == "Windows":  # PyPI's for Windows has no CUDA
        index = ("--index-url", f"{INDEX}/{wheel.tag}")
        if numbers(wheel.torch) < (2, 0):
            package += f"+{wheel.tag}"
            index = ("--extra-index-url", f"{INDEX}/{wheel.tag}")
        if numbers(wheel.torch) < (1, 11):
            index = ("-f", f"{INDEX}/torch_stable.html")
    numpy = [f"numpy{wheel.release.numpy}"] if wheel.release.numpy else []
    beside = (text for text in companions(wheel.torch) if text.partition("=")[0] in facts.python.packages)
    packages = (package, *beside, *numpy)
    there = facts.torch
    if there and numbers(there.version) == numbers(wheel.torch) and there.cuda != wheel.cuda:
        return exchange(*packages, index=index)
    return pip_install(*packages, index=index)
