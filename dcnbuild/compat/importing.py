"""Puts the modules of dcnbuild.compat under the import names of old packages.

If a repository has a file of that name, our module replaces it only if it has everything that the file defines
(source.py). Otherwise the file is executed, with our raw calls as its extension. Then our functions replace the file's,
and its classes call them.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from dcnbuild.base.when_imported import when_imported
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

__all__ = ["DEFAULT_NAMES", "MODULES", "install", "mmcv_extension"]

_installed: set[str] = set()
_left_alone: set[str] = set()
#: Modules of repositories that are being executed instead of ours.
_executing: list[str] = []


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
    return any(running.startswith(parent) for running in _executing for parent in parents)


def extension_named(name: str) -> str | None:
    """The full name of our raw calls for an extension that is compiled when it is imported, or None.

    A name that others use too, such as "_ext", counts where it was asked for, or for a file that is executed in our
    place.
    """
    if name not in EXTENSIONS or name in _left_alone:
        return None
    generic = name in ON_REQUEST and name not in _installed and not _executing
    return None if generic or not _installed else lookup(name)


class _OldNames(importlib.abc.MetaPathFinder):
    """First in sys.meta_path: finds installed names before a repository's own files, whose extension is not built."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        name = _ours_for(fullname)
        if name is None:
            return None
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
            return _spec(fullname)
        theirs.loader = _Merging(theirs.loader, name)
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
        return _spec(fullname) if copied or around or below else None


def _found_by_others(name: str, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
        if not isinstance(finder, _OldNames | _Parents):
            spec = finder.find_spec(name, path, None)
            if spec is not None:
                return spec
    return None


def _source(spec: importlib.machinery.ModuleSpec) -> str | None:
    loader = spec.loader
    if isinstance(loader, importlib.abc.InspectLoader):
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


def _spec(name: str) -> importlib.machinery.ModuleSpec:
    is_package = _is_parent(name, _installed) or _has_stand_ins_below(name)
    return importlib.machinery.ModuleSpec(name, _Loader(), is_package=is_package)


class _Loader(importlib.abc.Loader):
    """Fills a module of an old name with the names of our module, if there is one."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Returns None, for which Python makes an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        ours = _ours_for(module.__name__)
        if ours is not None:
            names = vars(importlib.import_module(ours))
            kept = {"__getattr__"}  # larger_ext uses it to name operators that dcnbuild does not have
            module.__dict__.update({k: value for k, value in names.items() if not k.startswith("__") or k in kept})


class _Merging(importlib.abc.Loader):
    """Executes a repository's own file, with our raw calls as its extension, and replaces its functions by ours.

    The file's classes look functions up by name, so they call ours: `dcn_v2_conv`, `modulated_deform_conv`. This
    includes the function that the file uses without its extension (`multi_scale_deformable_attn_pytorch`). A package
    also gets our names that it lacks.
    """

    def __init__(self, loader: Any, ours: str) -> None:
        self.loader = loader
        self.ours = ours

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        # None also for a directory without __init__.py, whose loader executes nothing.
        return None

    def exec_module(self, module: ModuleType) -> None:
        if self.loader is not None and hasattr(self.loader, "exec_module"):
            with _in_the_place_of_ours(module.__name__):
                self.loader.exec_module(module)
        ours = importlib.import_module(self.ours)
        for name in ours.__all__:
            mine, theirs = getattr(ours, name), getattr(module, name, None)
            lacking = theirs is None and hasattr(module, "__path__")
            if lacking or _same_function(theirs, mine):
                setattr(module, name, mine)


@contextlib.contextmanager
def _in_the_place_of_ours(name: str) -> Iterator[None]:
    before = set(sys.modules)
    _executing.append(name)
    try:
        yield
    finally:
        _executing.pop()
        for added in set(sys.modules) - before:
            # Nobody else has asked for a generic name; another package's own `_C` stays.
            spec = getattr(sys.modules[added], "__spec__", None)
            if isinstance(getattr(spec, "loader", None), _Loader) and _ours_for(added) is None:
                del sys.modules[added]


def _same_function(theirs: Any, mine: Any) -> bool:
    """Whether `theirs` computes what our function does: an autograd.Function, or its `apply`, with as many arguments,
    or attention in plain torch with the same arguments.
    """
    if inspect.isfunction(theirs) and inspect.isfunction(mine):
        from dcnbuild.compat.attention_search import stand_in  # torch is there, if theirs is

        return stand_in(theirs) is not None and _arguments(theirs) == _arguments(mine)
    if isinstance(theirs, type):
        theirs, mine = getattr(theirs, "apply", None), getattr(mine, "apply", None)
    function: Any = getattr(theirs, "__self__", None)
    if getattr(theirs, "__name__", None) != "apply" or not hasattr(function, "forward") or not callable(mine):
        return False
    return len(_arguments(function.forward)) - 1 == len(_arguments(mine))  # without the context


def _arguments(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)
