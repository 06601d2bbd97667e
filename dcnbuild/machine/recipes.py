"""Lists the CUDA toolkits that dcnbuild can install, and their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dcnbuild.base.versions import numbers

#: From CUDA 13 on, PyPI's `cuda-toolkit` packages have an nvcc. Those for CUDA 11 and 12 have ptxas and headers, but
#: neither nvcc nor cicc. Measured on nvidia-cuda-nvcc, -cu12 and -cu11, 2026-11.
PYPI_FROM = (13, 0)


@dataclass(frozen=True)
class DebianRecipe:
    """A toolkit from Debian's packages.

    Attributes:
        suite: the Debian release whose non-free section has it.
        runtime: the package of the shared CUDA runtime.
        host: the major version of a gcc to install beside it, if the default gcc of this Debian release is too new for
            its nvcc; else None.
    """

    suite: str
    runtime: str
    host: int | None = None

    @property
    def packages(self) -> tuple[str, ...]:
        """Returns the packages to download. nvidia-cuda-dev, by far the largest, has the headers and the static
        runtime.
        """
        return (
            *("nvidia-cuda-toolkit", "libnvvm4", self.runtime, "nvidia-cuda-dev"),
            *("libthrust-dev", "libcub-dev", "libcu++-dev"),
        )

    @property
    def host_packages(self) -> tuple[str, ...]:
        """Returns the packages of that gcc."""
        if self.host is None:
            return ()
        templates = ("gcc-{}", "g++-{}", "cpp-{}", "libgcc-{}-dev", "libstdc++-{}-dev")
        return tuple(template.format(self.host) for template in templates)


#: By CUDA version. Measured: both were installed and compiled with, and torch loaded the resulting libraries.
DEBIAN: Mapping[str, DebianRecipe] = {
    "12.4": DebianRecipe(suite="trixie", runtime="libcudart12"),
    "11.8": DebianRecipe(suite="bookworm", runtime="libcudart11.0", host=11),
}


def from_pypi(version: str) -> bool:
    """Whether PyPI's packages have this toolkit, e.g. "13.0"."""
    return numbers(version)[:2] >= PYPI_FROM


def available() -> str:
    """Returns a text that lists the installable toolkits."""
    debian = ", ".join(sorted(DEBIAN, reverse=True))
    return f"13.0 and every later 13.x from PyPI; {debian} from Debian's packages, where apt is"
