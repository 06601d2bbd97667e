"""Puts the modules of dcnbuild.compat under the import names of old."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

#: old import name → the module of dcnbuild.compat that answers to it. A dotted name that is not listed is looked up by its
#: last part, so that a copy inside a repository is found too: lib.models.DCNv2.dcn_v2.
MODULES = {
    "dcn_v2": "dcn_v2",
    "DCNv2": "dcn_v2",
    "DCNv2.dcn_v2": "dcn_v2",
    "dcn_v2_ext": "dcn_v2_ext",
    "_ext": "dcn_v2_ext",
    "deform_conv_cuda": "deform_conv_ext",
    "deform_conv_ext": "deform_conv_ext",
    "mmcv.ops": "mmcv",
    "mmcv.ops.deform_conv": "mmcv",
    "mmcv.ops.modulated_deform_conv": "mmcv",
    "mmcv.ops.deform_roi_pool": "mmcv",
    "detectron2.layers.deform_conv": "detectron2",
}

#: Names that no other package is likely to want: what `python -m dcnbuild.compat` installs.
DEFAULT_NAMES = ("dcn_v2", "DCNv2.dcn_v2", "dcn_v2_ext", "deform_conv_cuda", "deform_conv_ext")

#: What a copy of DCNv2 inside a repository ends in, at whatever depth.
_COPY = "DCNv2.dcn_v2"

_installed: set[str] = set()


def install(*names: str) -> None:
    """Lets `import NAME` and `from NAME import ...` find dcnbuild's modules, for each old import name.

    "DCNv2.dcn_v2" also stands for every copy of that directory inside a repository (`from .DCNv2.dcn_v2 import DCN`).
    Generic names such as "_ext" are installed only if they are given.
    Installing a name again changes nothing.

    Args:
        names: keys of `MODULES`, or dotted names with a key as their last part; DEFAULT_NAMES if there are none.

    Raises:
        ValueError: a name that dcnbuild has nothing for.
        ImportError: a module of that name is imported already, or is mmcv.ops and works: it is left alone, and so is
            everything else that was asked for.
    """
    wanted = set(names or DEFAULT_NAMES)
    if "mmcv.ops" in wanted:
        # Where mmcv's classes say that they live, and their pickles look for them.
        wanted |= {name for name in MODULES if name.startswith("mmcv.ops.")}
    for name in wanted:
        if _find(name) is None:
            raise ValueError(
                f"dcnbuild has no module to stand in for {name!r}; there are: {', '.join(MODULES)}"
            )
    for name in wanted - _installed:
        _refuse_if_taken(name)
    _installed.update(wanted)
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OldNames())
        sys.meta_path.append(_Parents())


def _find(name: str) -> str | None:
    module = MODULES.get(name) or MODULES.get(name.rpartition(".")[2])
    return f"dcnbuild.compat.{module}" if module else None


def _refuse_if_taken(name: str) -> None:
    present = sys.modules.get(name)
    if present is not None:
        raise ImportError(
            f"{name} is imported already, from {getattr(present, '__file__', None) or 'nowhere'}: "
            "call dcnbuild.compat.install before anything imports it",
            name=name,
        )
    if name.partition(".")[0] == "mmcv" and mmcv_extension() is not None:
        raise ImportError(
            f"mmcv has its compiled operators here ({mmcv_extension()}), and {name} more than the deformable ones: "
            "use dcnbuild.convert(model), or import dcnbuild.compat.mmcv",
            name=name,
        )


def mmcv_extension() -> Path | None:
    """The compiled operators of an installed mmcv (mmcv/_ext*.so), None if there are none; imports nothing."""
    spec = importlib.util.find_spec("mmcv")
    for directory in (spec.submodule_search_locations or ()) if spec else ():
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            path = Path(directory) / f"_ext{suffix}"
            if path.is_file():
                return path
    return None


class _OldNames(importlib.abc.MetaPathFinder):
    """First in sys.meta_path: finds what is installed, before a repository's own, whose extension is not built."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        copied = _COPY in _installed and fullname.endswith(f".{_COPY}")
        return _spec(fullname) if copied or fullname in _installed else None


class _Parents(importlib.abc.MetaPathFinder):
    """Last in sys.meta_path: finds the packages around what is installed, where there are none to be found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        copied = _COPY in _installed and f".{fullname}".endswith(".DCNv2")
        return _spec(fullname) if copied or _is_parent(fullname, _installed) else None


def _is_parent(name: str, of: Iterable[str]) -> bool:
    return any(other.startswith(f"{name}.") for other in of)


def _spec(name: str) -> importlib.machinery.ModuleSpec:
    is_package = _is_parent(name, {*_installed, *MODULES}) or name.endswith(".DCNv2")
    return importlib.machinery.ModuleSpec(name, _Loader(), is_package=is_package)


class _Loader(importlib.abc.Loader):
    """Fills a module of an old name with the names of ours, if there is one for it."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """None: an ordinary module will do."""

    def exec_module(self, module: ModuleType) -> None:
        ours = _find(module.__name__)
        if ours is not None:
            names = vars(importlib.import_module(ours))
            module.__dict__.update(
                {key: value for key, value in names.items() if not key.startswith("__")}
            )
