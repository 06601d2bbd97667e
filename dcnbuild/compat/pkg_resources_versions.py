"""Adds the versions of the packages that ours stand in for to `pkg_resources.get_distribution`; imported after it."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from typing import Any

from dcnbuild.compat.versions import VERSIONS

pkg_resources: Any = importlib.import_module("pkg_resources")
_theirs = pkg_resources.get_distribution


@functools.wraps(_theirs)
def get_distribution(dist: Any) -> Any:
    try:
        return _theirs(dist)
    except pkg_resources.DistributionNotFound:
        if dist not in VERSIONS:
            raise
        return importlib.metadata.distribution(dist)


pkg_resources.get_distribution = get_distribution
