"""Which toolkit can be had from where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dcnbuild.base.versions import numbers

#: PyPI's `cuda-toolkit` packages hold an nvcc from CUDA 13 on; those for CUDA 11 and 12 have ptxas and
#: headers, but neither nvcc nor cicc. Measured on nvidia-cuda-nvcc, -cu12 and -cu11, 2026-11.
PYPI_FROM = (13, 0)


@dataclass(frozen=True)
class DebianRecipe:
    """A toolkit made of Debian's packages.

    Attributes:
        suite: the Debian release whose non-free section has it.
        runtime: the package of the shared CUDA runtime.
        host: the major of a gcc to lay beside it, because Debian releases that have this toolkit come with a
            newer one than its nvcc takes; None where theirs will do.
    """

    suite: str
    runtime: str
    host: int | None = None

    @property
    def packages(self) -> tuple[str, ...]:
        """What is downloaded; nvidia-cuda-dev, by far the largest, for its headers and static runtime."""
        return (
            *("nvidia-cuda-toolkit", "libnvvm4", self.runtime, "nvidia-cuda-dev"),
            *("libthrust-dev", "libcub-dev", "libcu++-dev"),
        )

    @property
    def host_packages(self) -> tuple[str, ...]:
        """The packages of that gcc."""
        if self.host is None:
            return ()
        templates = ("gcc-{}", "g++-{}", "cpp-{}", "libgcc-{}-dev", "libstdc++-{}-dev")
        return tuple(template.format(self.host) for template in templates)


#: By CUDA version. Measured: both were laid out, compiled with, and their libraries loaded by torch.
DEBIAN: Mapping[str, DebianRecipe] = {
    "12.4": DebianRecipe(suite="trixie", runtime="libcudart12"),
    "11.8": DebianRecipe(suite="bookworm", runtime="libcudart11.0", host=11),
}


def from_pypi(version: str) -> bool:
    """Whether PyPI's packages make this toolkit, e.g. "13.0"."""
    return numbers(version)[:2] >= PYPI_FROM


def available() -> str:
    """What can be installed, for people."""
    debian = ", ".join(sorted(DEBIAN, reverse=True))
    return f"13.0 and every later 13.x from PyPI; {debian} from Debian's packages, where apt is"
