"""The package repositories of NVIDIA: which there are, and which CUDA toolkits each has.

Asks repositories.yaml; "" stands for what it does not have.
"""

from __future__ import annotations

import re
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import numbers


def _rows() -> Any:
    return plain_yaml.beside(__file__, "repositories.yaml")


def nearest(directory: str, toolkit: str = "") -> str:
    """The repository for a system: its own, else that of the release before it: "fedora38" → "fedora37".

    Of a system that has none, the one with the toolkit that is wanted goes first: "fedora40", "12.8" → "fedora41".
    """
    if directory in _rows():
        return directory
    found = re.fullmatch(r"([a-z-]+?)(\d+)", directory)
    family = [name for name in _rows() if found and re.fullmatch(rf"{found[1]}\d+", name)]
    if not family or found is None:
        return ""
    older = [name for name in family if int(name[len(found[1]) :]) < int(found[2])]
    ranked = [*reversed(older), *family[len(older) :]]
    return next((name for name in ranked if not toolkit or has(name, toolkit)), ranked[0])


def of(distribution: str) -> str:
    """The repository of a distribution as logs and machines name it, or the nearest: "debian 12" → "debian12"."""
    return nearest(re.sub(r"[ .]", "", distribution))


def has(directory: str, toolkit: str) -> bool:
    """Whether a repository has a toolkit, "12.3", as far as the table knows."""
    row = _rows().get(directory, {})
    return numbers(row.get("first", "99")) <= numbers(toolkit) <= numbers(row.get("last", "99"))


def first(directory: str) -> str:
    """The first toolkit of a repository."""
    return str(_rows().get(directory, {}).get("first", ""))


def too_old(directory: str, toolkit: str) -> bool:
    """Whether a toolkit is older than all that a repository has."""
    return bool(first(directory)) and bool(toolkit) and numbers(toolkit) < numbers(first(directory))


def place(arm: str) -> str:
    """The directory for the processor in a repository: `arm` is a text where it is an ARM server's."""
    return "sbsa" if arm else "x86_64"


def address(directory: str, arm: str = "") -> str:
    """The file that adds a repository to dnf, yum or zypper."""
    return f"https://developer.download.nvidia.com/compute/cuda/repos/{directory}/{place(arm)}/cuda-{directory}.repo"
