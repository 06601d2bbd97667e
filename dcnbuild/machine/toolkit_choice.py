"""Chooses the CUDA toolkit of a build."""

from __future__ import annotations

from dcnbuild.base.versions import same_major
from dcnbuild.machine.facts import Facts, Toolkit


def fitting_toolkits(facts: Facts) -> list[Toolkit]:
    """Returns the toolkits of torch's CUDA major version, best first."""
    cuda = facts.torch.cuda if facts.torch else None
    return [toolkit for toolkit in facts.toolkits if cuda and same_major(toolkit.version, cuda)]


def build_toolkit(facts: Facts) -> Toolkit | None:
    """Returns the toolkit for dcnbuild's own build: the first that fits torch, else the first."""
    return next(iter([*fitting_toolkits(facts), *facts.toolkits]), None)
