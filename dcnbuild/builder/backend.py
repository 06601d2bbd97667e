"""The PEP 517 and PEP 660 backend: setuptools' hooks, with the torch of the target environment.

The hooks are those of setuptools.build_meta; setuptools_commands.py changes their results.
"""

from __future__ import annotations

import shlex
import sys
from typing import Any

from dcnbuild.base.own_requirements import BUILD, unmet

_UNMET = unmet(BUILD)
if _UNMET:  # without build isolation: setuptools or an import would end in a traceback below
    sys.exit(
        f"dcnbuild cannot be built with {sys.executable}: it has {', '.join(_UNMET.values())}. "
        "Install what the build needs, then try again:\n\n"
        f"    {shlex.quote(sys.executable)} -m pip install {shlex.join(map(str, BUILD))}\n"
    )

# ruff: noqa: E402  what is missing must be said before it is imported
from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

from dcnbuild.builder.failure import FINDINGS, leave_findings
from dcnbuild.builder.requirements import torch_requirement_of_build
from dcnbuild.errors import FindingError

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = dict[str, Any] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Returns the requirements of the build environment: torch, if the target environment has none."""
    return [*_torch(), *build_meta.get_requires_for_build_wheel(config_settings)]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """Returns the same as for a wheel."""
    return [*_torch(), *build_meta.get_requires_for_build_editable(config_settings)]


def _torch() -> list[str]:
    try:
        return torch_requirement_of_build()
    except FindingError as error:
        leave_findings(FINDINGS, error)
        sys.exit(str(error))  # the front end shows this text; a traceback would hide it
