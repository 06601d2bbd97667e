"""Tells the version of an old package whose module ours stands in for, to code that asks before it calls.

InternImage's functions read `pkg_resources.get_distribution('DCNv3').version` when they are imported.
importlib.metadata asks the finders in sys.meta_path, of which importing.py has one; pkg_resources, which setuptools
dropped in version 82, looks into directories only. If it is not there, this module stands in for it, with its two names
that such code uses; otherwise pkg_resources_versions.py adds our answer to its own.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError
from os import PathLike
from typing import Any

__all__ = ["DistributionNotFound", "get_distribution"]

#: Old packages whose version code asks for, and the version of which ours has the calls.
#: DCNv3 1.1 has `remove_center`, which 1.0 has not; callers pass it if the version is above 1.0.
VERSIONS = {"DCNv3": "1.1"}

DistributionNotFound = PackageNotFoundError


class StandIn(Distribution):
    """The metadata of an old package: its name and version."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_text(self, filename: str) -> str | None:
        known = filename in ("METADATA", "PKG-INFO")
        return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {VERSIONS[self._name]}\n" if known else None

    def locate_file(self, path: str | PathLike[str]) -> Any:
        raise FileNotFoundError(f"{self._name} has no files: dcnbuild stands in for it")


def distributions(name: str | None, installed: set[str]) -> Iterator[Distribution]:
    """Yields the stand-in for a package of this name, if its module's name is installed."""
    if name in VERSIONS and name in installed:
        yield StandIn(name)


def get_distribution(dist: str) -> Distribution:
    """Like pkg_resources's. Raises DistributionNotFound if there is no such package."""
    return importlib.metadata.distribution(dist)
