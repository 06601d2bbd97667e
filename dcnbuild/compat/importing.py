"""Puts the modules of dcnbuild.compat under the import names of old packages.

If a repository has a file of that name, our module replaces it only if it has everything that the file defines, and
computes the same (source.py). Otherwise the file is executed, with our raw calls as its extension (loading.py). A file
of another name that imports such an extension is executed in the same way (contents.py).
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from dcnbuild.base.when_imported import when_imported
from dcnbuild.compat.contents import functions_for
from dcnbuild.compat.loading import Loader, Merging, executing
from dcnbuild.compat.names import (
    DEFAULT_NAMES,
    EXTENSIONS,
    MODULES,
    ON_REQUEST,
    THEIR_OWN,
    ends_in,
    lookup,
)
from dcnbuild.compat.source import can_replace
from dcnbuild.compat.versions import VERSIONS, distributions

__all__ = ["DEFAULT_NAMES", "MODULES", "install", "mmcv_extension"]

_installed: set[str] = set()
_left_alone: set[str] = set()
#: Directories of modules that are no repository's: Python's own, and installed packages.
_ELSEWHERE = tuple({sysconfig.get_path(each) for each in ("stdlib", "platstdlib", "purelib", "platlib")})


def install(*names: str, without: Iterable[str] = ()) -> None:
    """Lets `import NAME` and `from NAME import ...` find dcnbuild's modules, for each old import name.

    A name that is installed by default, such as "deform_conv_cuda" or "DCNv2.dcn_v2", also replaces every copy inside a
    repository (`from . import deform_conv_cuda`). A generic name such as "_ext" is installed only if you give it, and
    replaces no copies. Installing a name again changes nothing.

    Args:
        names: keys of `MODULES`, or dotted names that end in one; without names, DEFAULT_NAMES.
        without: names to leave alone, together with every dotted name that ends in one.

    Raises:
        ValueError: dcnbuild has no module for a name.
        ImportError: a module of that name is already imported, or is an mmcv.ops that works. Nothing is installed then.
    """
    without = set(without)
    wanted = set(names or DEFAULT_NAMES)
    if "mmcv.ops" in wanted:
        # If mmcv is installed, its own Python stays. It needs the extension, and pickles must find its classes.
        wanted |= {name for name in MODULES if name.startswith("mmcv.")}
    wanted -= without
    for name in wanted:
        if lookup(name) is None:
            raise ValueError(f"dcnbuild has no module to stand in for {name!r}; there are: {', '.join(MODULES)}")
    new = wanted - _installed
    for name in new:
        _refuse_if_taken(name)
    _installed.update(wanted)
    _left_alone.update(without)
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OldNames())
        sys.meta_path.append(_Parents())
        when_imported("torch.utils.cpp_extension", "dcnbuild.compat.jit_load", complete="load_inline")
        if "pkg_resources" in sys.modules or _found_by_others("pkg_resources", None) is not None:
            when_imported("pkg_resources", "dcnbuild.compat.pkg_resources_versions", complete="get_distribution")
    if "mmcv.ops" in new:
        # Importing mmcv.ops adds DCN and DCNv2 to mmcv's registry; build_conv_layer alone would not import it.
        when_imported("mmcv.cnn", "mmcv.ops", complete="build_conv_layer")


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
    """Returns the compiled operators of an installed mmcv (mmcv/_ext*.so), or None; imports nothing."""
    spec = importlib.util.find_spec("mmcv")
    for directory in (spec.submodule_search_locations or ()) if spec else ():
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            path = Path(directory) / f"_ext{suffix}"
            if path.is_file():
                return path
    return None


def _ours_for(name: str) -> str | None:
    """Returns the full name of our module that stands in for `name` at this moment, or None."""
    if any(ends_in(name, end) for end in _left_alone):
        return None
    if name in _installed or _is_below(name, _installed) or _is_extension_of_what_runs(name):
        return lookup(name)
    if name.partition(".")[0] in THEIR_OWN:
        return None
    ends = _installed - ON_REQUEST
    return lookup(name) if any(ends_in(name, end) for end in ends) else None


def _is_extension_of_what_runs(name: str) -> bool:
    """Whether the repository's file that is being executed imports its extension: `_ext`, or one beside or above the
    file.
    """
    parents = [name.removesuffix(end) for end in EXTENSIONS if ends_in(name, end)]
    return any(running.startswith(parent) for running in executing for parent in parents)


def extension_named(name: str) -> str | None:
    """The full name of our raw calls for an extension that is compiled when it is imported, or None.

    A name that others use too, such as "_ext", counts where it was asked for, or for a file that is executed in our
    place.
    """
    if name not in EXTENSIONS or name in _left_alone:
        return None
    generic = name in ON_REQUEST and name not in _installed and not executing
    return None if generic or not _installed else lookup(name)


class _OldNames(importlib.abc.MetaPathFinder):
    """First in sys.meta_path: finds installed names before a repository's own files, whose extension is not built."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        name = _ours_for(fullname)
        if name is None:
            return _by_contents(fullname, path)
        theirs = _found_by_others(fullname, path)
        if theirs is None:
            return _spec(fullname)
        source = _source(theirs)
        if source is not None and "torch.utils.ffi" in source and name.endswith("_ext"):
            return _spec(fullname)  # what cffi wrote around a library; torch has no torch.utils.ffi now
        # A module without a source is a compiled extension, perhaps for another torch: take ours.
        if theirs.submodule_search_locations is None and (
            source is None or can_replace(importlib.import_module(name), source)
        ):
            return _spec(fullname, theirs, source)
        theirs.loader = Merging(theirs.loader, [name], _ours_for, _functions_for(theirs, source))
        return theirs


class _Parents(importlib.abc.MetaPathFinder):
    """Last in sys.meta_path: makes the parent packages of installed names, if no other finder has them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        # A copy of DCNv2 is often a git submodule that was never checked out.
        copied = "DCNv2.dcn_v2" in _installed and ends_in(fullname, "DCNv2")
        asked_for = {name for name in _installed if name in ON_REQUEST or name not in MODULES}
        below = _is_below(fullname, asked_for) and _has_stand_ins_below(fullname)
        around = _is_parent(fullname, asked_for)
        # setuptools has no pkg_resources now, and code of that time asks it for the version of DCNv3.
        if fullname == "pkg_resources" and not _installed.isdisjoint(VERSIONS):
            return importlib.machinery.ModuleSpec(fullname, Loader(lambda _: "dcnbuild.compat.versions"))
        return _spec(fullname) if copied or around or below else None

    def find_distributions(self, context: Any = None) -> Iterable[importlib.metadata.Distribution]:
        """Called by importlib.metadata, after the finders that know the installed packages."""
        return distributions(getattr(context, "name", None), _installed)


def _found_by_others(name: str, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
        if not isinstance(finder, _OldNames | _Parents):
            spec = finder.find_spec(name, path, None)
            if spec is not None:
                return spec
    return None


def _by_contents(name: str, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
    """The spec of a repository's file that imports one of our extensions and refuses the CPU; else None.

    Also examines installed packages whose extension was asked for, such as detectron2 for "detectron2._C".
    """
    top = name.partition(".")[0]
    asked_for = _is_parent(top, _installed)
    if not asked_for and (top in sys.stdlib_module_names or top in THEIR_OWN or _is_elsewhere(path)):
        return None
    theirs = _found_by_others(name, path)
    if theirs is None or not theirs.has_location or not (asked_for or not _is_elsewhere([theirs.origin or ""])):
        return None
    functions = _functions_for(theirs, _source(theirs))
    if not functions:
        return None
    theirs.loader = Merging(theirs.loader, [], _ours_for, functions)
    return theirs


def _is_elsewhere(path: Sequence[str] | None) -> bool:
    return bool(path) and str(next(iter(path or ()), "")).startswith(_ELSEWHERE)


def _functions_for(spec: importlib.machinery.ModuleSpec, source: str | None) -> list[str]:
    is_package = spec.submodule_search_locations is not None
    return functions_for(source, spec.name, is_package, _ours_for) if source else []


def _source(spec: importlib.machinery.ModuleSpec) -> str | None:
    loader = spec.loader
    if isinstance(loader, importlib.abc.InspectLoader):
        with contextlib.suppress(ImportError, OSError, UnicodeError):  # no source, or one that Python cannot read
            return loader.get_source(spec.name)
    return None


def _is_parent(name: str, of: Iterable[str]) -> bool:
    return any(other.startswith(f"{name}.") for other in of)


def _is_below(name: str, packages: Iterable[str]) -> bool:
    return any(name.startswith(f"{package}.") for package in packages)


def _has_stand_ins_below(name: str) -> bool:
    """Whether it ends in a package of MODULES: mmdet.ops.dcn ends in "dcn", mmdet.ops.dcn.modules in "dcn.modules"."""
    parts = name.split(".")
    return any(_is_parent(".".join(parts[start:]), MODULES) for start in range(len(parts)))


def _spec(
    name: str, theirs: importlib.machinery.ModuleSpec | None = None, source: str | None = None
) -> importlib.machinery.ModuleSpec:
    is_package = _is_parent(name, _installed) or _has_stand_ins_below(name)
    return importlib.machinery.ModuleSpec(name, Loader(_ours_for, theirs, source), is_package=is_package)
