"""Whose a file is: that decides who can mend it.

Example: `owner("/env/lib/python3.11/site-packages/torch/lib/libtorch_cuda.so")` is torch's, and nobody
helps it by rebuilding the current directory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from dcnbuild.doctor import wording
from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.knowledge import modules

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.rule import Hit

Kind = Literal["own", "package", "torch", "nvidia", "toolkit", "conda", "python", "system", "cache", "unknown"]

_INSTALLED, _FETCHED = wording.patterns("installed", "fetched")
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


def owner(path: str) -> Owner:
    """Whose file this is."""
    if installed := _INSTALLED.search(path):
        module = installed["module"] or installed["egg"]
        if module in ("torch", "functorch", "torchgen", "caffe2"):
            return Owner("torch", "torch")
        return Owner("nvidia", "nvidia") if module == "nvidia" else Owner("package", package_of(module))
    if re.search(r"[/\\](?:lib)?torch[^/\\]*[/\\](?:include|lib)[/\\]|libtorch[/\\]", path):
        return Owner("torch", "torch")
    if fetched := _FETCHED.search(path):
        return Owner("package", (fetched["name"] or "").replace("_", "-"))
    return Owner(next((kind for kind, pattern in _KINDS.items() if pattern.search(path)), "own" if path else "unknown"))


def maker(hit: Hit, path: str) -> Owner:
    """The same; of "site-packages/net_cpu.cpython-310-x86_64-linux-gnu.so" by the package net, if the log shows it."""
    found, alone = owner(path), re.search(r"-packages[/\\](\w+)\.[^/\\]*$", path)
    shown = re.findall(r"-packages[/\\](\w+)[/\\]", "\n".join(hit.log.near(hit.line, 60, 60))) if alone else ()
    beside = [name for name in shown if alone and alone[1].startswith(f"{name}_") and name != "torch"]
    return replace(found, name=package_of(max(beside, key=len))) if found.package and beside else found
