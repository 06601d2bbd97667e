"""Chooses the torch interface that a library is compiled against, and says which torch can load it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dcnbuild.base.versions import numbers
from dcnbuild.builder.sources import Library
from dcnbuild.errors import FindingError

if TYPE_CHECKING:
    from dcnbuild.builder.record import BuildRecord
    from dcnbuild.machine.facts import TorchInstall

FlavourName = Literal["stable", "aten"]

#: The oldest torch whose headers know TORCH_TARGET_VERSION, and therefore the target of the stable flavour.
#: Measured: a library built for it loads in 2.10.0, 2.14.1 and 2.15.0, and not in 2.9.1.
STABLE_TARGET = (2, 10)
#: The oldest torch that the ATen flavour is compiled and tested with.
OLDEST = (2, 0)
OLDEST_REQUIREMENT = f"torch>={OLDEST[0]}.{OLDEST[1]}"


@dataclass(frozen=True)
class Flavour:
    """One way of compiling the host side.

    Attributes:
        name: "stable" for the LibTorch stable ABI, "aten" for the C++ interface of one torch release.
        requirement: what a wheel of this flavour asks for, e.g. "torch>=2.10".
        flags: what every compiler gets for it.
        link: what each of our libraries is linked with; the route "nvrtc" is the stable flavour's alone.
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
    link={
        "cpu": ("torch_cpu",),
        "cuda": ("torch_cuda", "torch_cpu", "c10_cuda"),
        "nvrtc": ("torch_cpu", "dl"),
    },
)


def flavour_of(torch: TorchInstall) -> Flavour:
    """Returns the flavour for a torch.

    Raises FindingError for a torch that no flavour supports.
    """
    release = numbers(torch.version)[:2]
    if release >= STABLE_TARGET:
        return STABLE
    if release >= OLDEST:
        return _aten(torch)
    # imported here, since every `import dcnbuild` runs this module and almost none needs the findings
    from dcnbuild.builder import findings

    raise FindingError(findings.torch_too_old(torch.version, OLDEST_REQUIREMENT))


def _aten(torch: TorchInstall) -> Flavour:
    # torch 2.0's headers are written for C++14 and compile as C++17, which all later headers need.
    abi = () if torch.cxx11_abi is None else (f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.cxx11_abi)}",)
    return Flavour(
        name="aten",
        requirement=requirement("aten", torch.version),
        flags=("-std=c++17", *abi),
        link={
            "cpu": ("torch_cpu", "c10"),
            "cuda": ("torch_cuda", "torch_cpu", "c10_cuda", "c10"),
        },
    )


def requirement(flavour: str, built_with: str) -> str:
    """Returns the requirement of a library of this flavour that was built with one torch: "torch>=2.5,<2.6"."""
    if flavour == STABLE.name:
        return STABLE.requirement
    major, minor = numbers(built_with)[:2]
    # Without this, pip would consider 2.6.0a0 older than 2.6, and replace it by another torch.
    before_release = ".dev0" if re.match(r"[\d.]+(a|b|rc|\.?dev)\d", built_with) else ""
    return f"torch>={major}.{minor}{before_release},<{major}.{minor + 1}"


def refusal(built: BuildRecord, version: str, cxx11_abi: bool) -> str | None:
    """Says why the torch of this version and C++ ABI cannot load the libraries; None if it can."""
    this = f"this is torch {version}"
    if built.flavour == STABLE.name:
        fits = numbers(version)[:2] >= STABLE_TARGET
    else:
        fits = numbers(version)[:2] == numbers(built.torch)[:2]
        if fits and built.torch_cxx11_abi not in (None, cxx11_abi):
            this += f" with _GLIBCXX_USE_CXX11_ABI={int(cxx11_abi)}"
            fits = False
    if fits:
        return None
    return f"built with torch {built.torch} for {requirement(built.flavour, built.torch)}, {this}"
