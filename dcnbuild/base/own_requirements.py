"""Lists the Python packages that dcnbuild needs, to build and to run. No other file lists them.

Imports only the standard library, since it is used where packages are missing.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass

from dcnbuild.base.versions import numbers


@dataclass(frozen=True)
class OwnRequirement:
    """A project on PyPI, its module, and the oldest version that works."""

    project: str
    module: str
    oldest: str

    def __str__(self) -> str:
        return f"{self.project}>={self.oldest}"


NINJA = OwnRequirement("ninja", "ninja", "1.10")
PYYAML = OwnRequirement("pyyaml", "yaml", "6")
SETUPTOOLS = OwnRequirement("setuptools", "setuptools", "77")

#: Requirements of a build; `build-system.requires` of pyproject.toml repeats them, since it cannot compute anything.
BUILD = (SETUPTOOLS, NINJA, PYYAML)
#: Requirements of an installed dcnbuild, besides torch.
RUN = (
    NINJA,
    OwnRequirement("packaging", "packaging", "22"),
    PYYAML,
    OwnRequirement("rich", "rich", "12"),
    # for `dcnbuild completion`; writes static scripts, so that completing a word starts no Python
    OwnRequirement("shtab", "shtab", "1.6"),
)


def unmet(requirements: Iterable[OwnRequirement]) -> dict[OwnRequirement, str]:
    """Returns the requirements that this Python does not meet, with what it has: "no ninja", "setuptools 65.5.0"."""
    found = {}
    for requirement in requirements:
        try:
            version = importlib.metadata.version(requirement.project)
        except importlib.metadata.PackageNotFoundError:
            # a package of the system's package manager may have no metadata
            if importlib.util.find_spec(requirement.module) is None:
                found[requirement] = f"no {requirement.project}"
            continue
        if numbers(version) < numbers(requirement.oldest):
            found[requirement] = f"{requirement.project} {version}"
    return found
