"""How a library meets torch: which interface it is compiled against, and which torch can load it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dcnbuild.builder.sources import Library
from dcnbuild.doctor.finding import FindingError
from dcnbuild.versions import numbers

FlavourName = Literal["stable", "aten"]

#: The oldest torch whose headers know TORCH_TARGET_VERSION, and so the target of the stable flavour.
#: Measured: a library built for it loads in 2.10.0, 2.14.1 and 2.15.0, and not in 2.9.1.
STABLE_TARGET = (2, 10)


@dataclass(frozen=True)
class Flavour:
    """One way of compiling the host side.

    Attributes:
        name: "stable" for the LibTorch stable ABI.
        requirement: what a wheel of this flavour asks for, e.g. "torch>=2.10".
        flags: what every compiler gets for it.
        link: the torch libraries that each of our libraries is linked with.
    """

    name: FlavourName
    requirement: str
    flags: tuple[str, ...]
    link: dict[Library, tuple[str, ...]]


STABLE = Flavour(
    name="stable",
    requirement=f"torch>={STABLE_TARGET[0]}.{STABLE_TARGET[1]}",
    # One byte each for major and minor at the top of 64 bits: torch/headeronly/version.h.
    flags=(
        "-std=c++17",
        f"-DTORCH_TARGET_VERSION=0x{STABLE_TARGET[0]:02x}{STABLE_TARGET[1]:02x}000000000000",
    ),
    link={"cpu": ("torch_cpu",), "cuda": ("torch_cuda", "torch_cpu", "c10_cuda")},
)


def flavour_of(torch_version: str) -> Flavour:
    """The flavour that is compiled for a torch, e.g. "2.14.1+cu130".

    Raises FindingError for a torch that no flavour serves.
    """
    if numbers(torch_version)[:2] >= STABLE_TARGET:
        return STABLE
    # here, since every `import dcnbuild` passes by and hardly any comes this far
    from dcnbuild.builder import findings

    raise FindingError(findings.torch_too_old(torch_version, STABLE.requirement))


def loads_in(flavour: str, built_with: str, running: str) -> bool:
    """Whether a library of this flavour, built with one torch, can be loaded into another."""
    if flavour == STABLE.name:
        return numbers(running)[:2] >= STABLE_TARGET
    return numbers(running)[:2] == numbers(built_with)[:2]
