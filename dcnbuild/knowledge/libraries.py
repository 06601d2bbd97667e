"""Shared libraries and symbols: whose they are, and the one package that brings them for the CUDA in use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dcnbuild.knowledge import owners, sonames


@dataclass(frozen=True)
class Library:
    """Where a shared library comes from.

    Attributes:
        name: without directory, "libcudnn.so.9".
        owner: "cuda", "driver", "torch", "python", "compiler", "system" or "" for one that is not known.
        what: for people, "cuDNN 9".
        pip, apt, conda: packages that bring it, "" for none.
        releases: what Ubuntu and Debian call the package where its name is not the same in all: package → releases.
        cuda: the major version of the CUDA that it belongs to; None if that is open.
    """

    name: str
    owner: str = ""
    what: str = ""
    pip: str = ""
    apt: str = ""
    conda: str = ""
    cuda: int | None = None
    releases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def library(path: str, cuda: str = "") -> Library:
    """What is known of a shared library, e.g. "libcublas.so.12".

    Args:
        path: with or without its directory.
        cuda: the major version of the CUDA in use, "12", which chooses among packages.
    """
    name = re.split(r"[/\\]", path)[-1]
    found = sonames.find(name)
    if not found:
        return Library(name)
    row = found[0]
    fitting = [text for text in row.pip if cuda and re.search(rf"-cu{cuda}\b", text)]
    pip = next(iter((*fitting, *row.pip)), "")
    major = re.search(r"of CUDA (\d+)\b(?! (?:and|to))|CUDA runtime (\d+)\b(?! or)", row.what)
    return Library(
        name,
        row.owner,
        row.what,
        pip,
        next(iter(row.apt), ""),
        next(iter(row.conda), ""),
        int(major[1] or major[2]) if major else None,
        row.releases,
    )


def of_link_name(name: str) -> Library:
    """The library that `-lNAME` means."""
    found = sonames.of_link_name(name)
    return library(re.split(r"\*", found[0].sonames[0])[0], "") if found else Library(f"lib{name}.so")


def maker(symbol: str) -> owners.Owner:
    """The library and the package that have a symbol, "" where that is not known."""
    return owners.of_symbol(symbol) or owners.Owner((), "", "", "", "")


def of_torch(symbol: str) -> bool:
    """Whether a symbol belongs to torch's own libraries."""
    found = owners.of_symbol(symbol.lstrip("_") if symbol.startswith("__Z") else symbol)
    mangled = re.match(r"\?[\w@$]*@(?:c10|at|torch|caffe2)@|_?_ZT?[VIS]?N?K?\d?(?:2at|3c10|5torch|6caffe2)", symbol)
    return bool(mangled) or (found is not None and found.owner == "torch")


def demangle(symbol: str) -> str:
    """The name in a mangled symbol, without its arguments: "_ZNK3c107SymBool5guardEv" → "c10::SymBool::guard"."""
    return owners.bare(symbol.replace("__Z", "_Z", 1) if symbol.startswith("__Z") else symbol)
