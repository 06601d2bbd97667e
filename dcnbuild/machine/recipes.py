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


#: The first toolkit in NVIDIA's package repository for a distribution, as far as it was looked up. Source:
#: what that repository lists; for Ubuntu 24.04 also Jimver/cuda-toolkit#375.
_FIRST_IN_REPOSITORY = {"ubuntu 22.04": (11, 7), "ubuntu 24.04": (12, 5), "debian 12": (12, 4)}


def source(version: str, where: str, linux: bool) -> tuple[str, str]:
    """Returns where a toolkit for a torch of this CUDA version comes from, and which version it will be.

    "dcnbuild", "conda", "nix", "repository" (NVIDIA's, of packages) or "archive" (NVIDIA's, of installers): the first
    that is possible is the shortest, and takes no root. Another minor version of the same major does no harm, so that a
    newer one stands in for what a source does not have.

    Args:
        version: the CUDA version.
        where: "conda", "nix" or the distribution, "ubuntu 24.04"; "" for none that is known.
        linux: whether it is for Linux.
    """
    wanted = numbers(version)[:2]
    if linux and from_pypi(version):
        return "dcnbuild", version
    if where in ("conda", "nix"):
        return where, version
    if where.startswith("debian"):  # the recipes take Debian's own archive
        known = [name for name in DEBIAN if numbers(name)[:1] == wanted[:1]]
        newer = [name for name in known if numbers(name) >= wanted]
        if newer:
            return "dcnbuild", min(newer, key=numbers)
    first = _FIRST_IN_REPOSITORY.get(where)
    if first is not None and first[:1] <= wanted[:1]:
        return "repository", ".".join(map(str, first)) if first > wanted else version
    return "archive", version


def from_pypi(version: str) -> bool:
    """Whether PyPI's packages have this toolkit, e.g. "13.0"."""
    return numbers(version)[:2] >= PYPI_FROM


def available() -> str:
    """Returns a text that lists the installable toolkits."""
    debian = ", ".join(sorted(DEBIAN, reverse=True))
    return f"13.0 and every later 13.x from PyPI; {debian} from Debian's packages, where apt is"
