"""Chooses the torch of a build, and the requirements of the built package."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

from dcnbuild.base.own_requirements import RUN
from dcnbuild.builder.flavour import STABLE, flavour_of
from dcnbuild.errors import FindingError
from dcnbuild.machine.facts import TorchInstall
from dcnbuild.machine.torch_install import find_torch, read_torch


@cache
def torch_of_build() -> TorchInstall | None:
    """Returns the torch that this interpreter imports, else the one of its environment; None if there is neither.

    A process runs one hook of the build backend, which calls this several times; it searches once.

    Inside pip's build isolation, the import system does not see the environment's packages, but `sys.prefix` still
    names the environment. Other front ends make a new environment, which has only the torch that the build requires.
    """
    for entry in sys.path:
        found = read_torch(Path(entry or "."))
        if found is not None:
            return found
    return find_torch(None, os.environ)


def torch_requirement_of_build() -> list[str]:
    """Returns the build environment's additional requirements: a torch, if there is none to build with.

    Raises FindingError for a torch that no flavour supports, since requiring another would replace the user's torch.
    """
    torch = torch_of_build()
    if torch is None:
        return [STABLE.requirement]
    flavour_of(torch)
    return []


def install_requirements() -> list[str]:
    """Returns the dependencies of the built package: torch as its flavour requires, and dcnbuild's own.

    Without a torch to build with (for an sdist, for example), they are those of the stable flavour.
    """
    torch = torch_of_build()
    try:
        flavour = flavour_of(torch) if torch else STABLE
    except FindingError:
        flavour = STABLE
    return [flavour.requirement, *map(str, RUN)]
