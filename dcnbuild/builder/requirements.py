"""What a built dcnbuild asks for, and which torch a build is made with."""

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
    """The torch that this interpreter imports, else the one of its environment; None if there is neither.

    A hook of the build backend asks several times, and a process runs one hook: it is looked for once.

    Inside pip's build isolation the environment's packages are hidden from the import system, but
    `sys.prefix` still names it. Other front ends isolate with an environment of their own, where only a
    torch that the build asked for is found.
    """
    for entry in sys.path:
        found = read_torch(Path(entry or "."))
        if found is not None:
            return found
    return find_torch(None, os.environ)


def torch_requirement_of_build() -> list[str]:
    """What a build environment must have in addition: a torch, if there is none to build with.

    Raises FindingError for a torch that no flavour serves: to ask for another would put that one into the
    place of the one the user has.
    """
    torch = torch_of_build()
    if torch is None:
        return [STABLE.requirement]
    flavour_of(torch)
    return []


def install_requirements() -> list[str]:
    """The dependencies of what is built here: torch as its flavour asks, and ours.

    Without a torch that can be built with (for an sdist, say), those of the stable flavour.
    """
    torch = torch_of_build()
    try:
        flavour = flavour_of(torch) if torch else STABLE
    except FindingError:
        flavour = STABLE
    return [flavour.requirement, *map(str, RUN)]
