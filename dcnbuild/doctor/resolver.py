"""The pip line: the newest torch wheel that this driver, these GPUs and this Python can use."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dcnbuild.base import plain_yaml
from dcnbuild.doctor.fixes import INDEX, exchange, pip_install, say
from dcnbuild.doctor.fixes.fix import Fix, Target
from dcnbuild.machine.compatibility import companions, numbers
from dcnbuild.machine.facts import Facts
from dcnbuild.machine.torch_wheels import Wheel, rejection, wheels
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
