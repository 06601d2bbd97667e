"""The Python packages that dcnbuild itself needs, to be built and to run. The one place that lists them.

Imports nothing but the standard library: it is asked where something is missing.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass

from dcnbuild.base.versions import numbers


@dataclass(frozen=True)
class OwnRequirement:
    """A project on PyPI, the module that it brings, and the oldest version that will do."""

    project: str
    module: str
    oldest: str

    def __str__(self) -> str:
        return f"{self.project}>={self.oldest}"


NINJA = OwnRequirement("ninja", "ninja", "1.10")
PYYAML = OwnRequirement("pyyaml", "yaml", "6")
SETUPTOOLS = OwnRequirement("setuptools", "setuptools", "77")

#: What a build needs; `build-system.requires` of pyproject.toml repeats it, since nothing can be computed there.
BUILD = (SETUPTOOLS, NINJA, PYYAML)
#: What dcnbuild needs once it is installed, beside torch.
RUN = (
    NINJA,
    OwnRequirement("packaging", "packaging", "22"),
    PYYAML,
    OwnRequirement("rich", "rich", "12"),
    # `dcnbuild completion`: writes static scripts, so that completing starts no Python
    OwnRequirement("shtab", "shtab", "1.6"),
)


def unmet(requirements: Iterable[OwnRequirement]) -> dict[OwnRequirement, str]:
    """Those that this Python does not meet, each with what it has: "no ninja", "setuptools 65.5.0"."""
    found = {}
    for requirement in requirements:
        try:
            version = importlib.metadata.version(requirement.project)
        except importlib.metadata.PackageNotFoundError:
            # a package that the system's manager put there may have no metadata
            if importlib.util.find_spec(requirement.module) is None:
                found[requirement] = f"no {requirement.project}"
            continue
        if numbers(version) < numbers(requirement.oldest):
            found[requirement] = f"{requirement.project} {version}"
    return found
