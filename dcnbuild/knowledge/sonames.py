"""Which package holds a shared library: sonames.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dcnbuild.knowledge.rows import fits, read


@dataclass(frozen=True)
class Library:
    """One row; the fields are described at the head of tools/knowledge/written/sonames.yaml."""

    sonames: tuple[str, ...]
    what: str
    owner: str
    source: str
    pip: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    dnf: tuple[str, ...] = ()
    conda: tuple[str, ...] = ()
    releases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""


def rows() -> tuple[Library, ...]:
    """Every row."""
    return read("sonames.json", Library)


def find(soname: str) -> list[Library]:
    """The libraries of a file name, e.g. "libcudnn.so.8", "libnccl.so.2.30.7", "cudart64_12.dll".

    A directory before the name is ignored. A name with more version numbers than the table has is
    found by its first ones.
    """
    name = re.split(r"[/\\]", soname.strip())[-1]
    while True:
        found = [row for row in rows() if _holds(row, name)]
        shorter = re.sub(r"\.\d+$", "", name)
        if found or shorter == name:
            return found
        name = shorter


def of_link_name(name: str) -> list[Library]:
    """The libraries that a linker's `-lNAME` can mean, e.g. "cudart", "nvToolsExt", "torch_cuda"."""
    stem = name.strip().removeprefix("-l")
    return [
        row for row in rows() if any(fits(f"lib{stem}", re.split(r"\.(?:so|dylib)\b", item)[0]) for item in row.sonames)
    ]


def _holds(row: Library, name: str) -> bool:
    lower = name.lower()
    return any(fits(lower, item.lower()) if item.endswith(".dll") else fits(name, item) for item in row.sonames)
