"""Whose a file is: that decides who can mend it.

Example: `owner("/env/lib/python3.11/site-packages/torch/lib/libtorch_cuda.so")` is torch's, and nobody
helps it by rebuilding the current directory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from dcnbuild.doctor import wording
from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.knowledge import modules

Kind = Literal["own", "package", "torch", "nvidia", "toolkit", "conda", "python", "system", "cache", "unknown"]

_INSTALLED, _FETCHED, _BESIDE = wording.patterns("installed", "fetched", "package_directory")
_OF: tuple[Kind, ...] = ("cache", "toolkit", "python", "conda", "system")
_KINDS = {kind: wording.pattern(f"of_{kind}") for kind in _OF}


@dataclass(frozen=True)
class Owner:
    """Who made a file; `name` is the package as pip calls it, where it is one."""

    kind: Kind
    name: str = ""

    @property
    def package(self) -> str:
        """The name of a package, "" for any other owner."""
        return self.name if self.kind == "package" else ""


def package_of(module: str) -> str:
    """The name on PyPI of the package that brings a module: "cv2.dnn" → "opencv-python"."""
    first, names = module.split(".")[0], tables.rows("modules")
    named: str | None = names.get(".".join(module.split(".")[:2])) or names.get(first)
    if named is None and not re.fullmatch(r"_C|_ext", first):
        # a compiled module that lies beside the package that it belongs to: "flash_attn_2_cuda"
        named = next((row.package for row in modules.find(first)), None)
    return named or first.replace("_", "-")


def owner(path: str, text: str = "") -> Owner:
    """Whose file this is: "net_cpu.so" belongs to the package net beside it, where the log's `text` names its files."""
    if installed := _INSTALLED.search(path):
        module = installed["module"] or installed["egg"]
        if re.match(r"\.[^/\\]*$", path[installed.end() :]):
            beside = (one for one in _BESIDE.findall(text) if module.startswith(f"{one}_") and one != "torch")
            module = max(beside, key=len, default=module)
        if module in ("torch", "functorch", "torchgen", "caffe2"):
            return Owner("torch", "torch")
        return Owner("nvidia", "nvidia") if module == "nvidia" else Owner("package", package_of(module))
    if re.search(r"[/\\](?:lib)?torch[^/\\]*[/\\](?:include|lib)[/\\]|libtorch[/\\]", path):
        return Owner("torch", "torch")
    if fetched := _FETCHED.search(path):
        return Owner("package", (fetched["name"] or "").replace("_", "-"))
    return Owner(next((kind for kind, pattern in _KINDS.items() if pattern.search(path)), "own" if path else "unknown"))
