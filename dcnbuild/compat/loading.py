"""Loads a module of an old name: ours, or a repository's own file with our raw calls and functions.

A file is executed with our raw calls as its extension. Then our functions replace the file's, and its classes call
them.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from dcnbuild.compat.contents import REFUSES_THE_CPU
from dcnbuild.compat.source import names_of

#: Returns the full name of our module that stands in for a name at this moment, or None.
OursFor = Callable[[str], str | None]

#: Modules of repositories that are being executed instead of ours.
executing: list[str] = []


class Loader(importlib.abc.Loader):
    """Fills a module of an old name with the names of our module, if there is one.

    Attributes:
        theirs: the repository's file that our module replaces; its private names are taken from it when they are
            needed (`from .ms_deform_attn import _is_power_of_2`).
    """

    def __init__(self, ours_for: OursFor, theirs: ModuleSpec | None = None, source: str | None = None) -> None:
        self.ours_for = ours_for
        self.theirs = theirs
        self.source = source

    def create_module(self, spec: ModuleSpec) -> None:
        """Returns None, for which Python makes an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        ours = self.ours_for(module.__name__)
        if ours is None:
            return
        mine = importlib.import_module(ours)
        kept = {"__getattr__"}  # larger_ext uses it to name operators that dcnbuild does not have
        module.__dict__.update({k: value for k, value in vars(mine).items() if not k.startswith("__") or k in kept})
        module.__file__ = mine.__file__  # Python's errors name it: "cannot import name 'X' from …"
        if self.theirs is not None and self.source:
            module.__dict__["__getattr__"] = _rest_of(self.theirs, names_of(self.source), self.ours_for)


def _rest_of(theirs: ModuleSpec, names: set[str], ours_for: OursFor) -> Callable[[str], Any]:
    """A module's `__getattr__` for the names that only the repository's file has: executes the file on first need."""
    executed: list[ModuleType] = []

    def __getattr__(name: str) -> Any:
        if name not in names or name.startswith("__"):
            raise AttributeError(f"module {theirs.name!r} has no attribute {name!r}")
        if not executed:
            ours = ours_for(theirs.name)
            theirs.loader = Merging(theirs.loader, [ours] if ours else [], ours_for)
            module = importlib.util.module_from_spec(theirs)
            theirs.loader.exec_module(module)
            executed.append(module)
        return getattr(executed[0], name)

    return __getattr__


class Merging(importlib.abc.Loader):
    """Executes a repository's own file, with our raw calls as its extension, and replaces its functions by ours.

    The file's classes look functions up by name, so they call ours: `dcn_v2_conv`, `modulated_deform_conv`. This
    includes the function that the file uses without its extension (`multi_scale_deformable_attn_pytorch`). A package
    also gets our names that it lacks.

    Attributes:
        ours: the full names of our modules.
        only_refusing: replace only Functions that refuse a tensor of the CPU and have the very arguments of ours, in a
            file that is known by what it imports, not by its name.
    """

    def __init__(self, loader: Any, ours: Sequence[str], ours_for: OursFor, only_refusing: Sequence[str] = ()) -> None:
        self.loader = loader
        self.ours = ours
        self.ours_for = ours_for
        self.only_refusing = only_refusing

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        # None also for a directory without __init__.py, whose loader executes nothing.
        return None

    def exec_module(self, module: ModuleType) -> None:
        if self.loader is not None and hasattr(self.loader, "exec_module"):
            with self._in_the_place_of_ours(module.__name__):
                self.loader.exec_module(module)
        for full in self.ours:
            ours = importlib.import_module(full)
            for name in ours.__all__:
                mine, theirs = getattr(ours, name), getattr(module, name, None)
                lacking = theirs is None and hasattr(module, "__path__")
                if lacking or _same_function(theirs, mine):
                    setattr(module, name, mine)
        for full in self.only_refusing:
            ours = importlib.import_module(full)
            for name in ours.__all__:
                mine = getattr(ours, name)
                if _refuses_what_ours_takes(getattr(module, name, None), mine):
                    setattr(module, name, mine)

    @contextlib.contextmanager
    def _in_the_place_of_ours(self, name: str) -> Iterator[None]:
        if not self.ours:
            yield
            return
        before = set(sys.modules)
        executing.append(name)
        try:
            yield
        finally:
            executing.pop()
            for added in set(sys.modules) - before:
                # Nobody else has asked for a generic name; another package's own `_C` stays.
                spec = getattr(sys.modules[added], "__spec__", None)
                if isinstance(getattr(spec, "loader", None), Loader) and self.ours_for(added) is None:
                    del sys.modules[added]


def _same_function(theirs: Any, mine: Any) -> bool:
    """Whether `theirs` computes what our function does: an autograd.Function, or its `apply`, with as many arguments,
    or attention in plain torch with the same arguments.
    """
    if inspect.isfunction(theirs) and inspect.isfunction(mine):
        from dcnbuild.compat.attention_search import stand_in  # torch is there, if theirs is

        return stand_in(theirs) is not None and _arguments(theirs) == _arguments(mine)
    function, call = _forward(theirs), _call(mine)
    if function is None or call is None:
        return False
    return len(_arguments(function)) - 1 == len(_arguments(call))  # without the context


def _refuses_what_ours_takes(theirs: Any, mine: Any) -> bool:
    function, call = _forward(theirs), _call(mine)
    if function is None or call is None or _arguments(function)[1:] != _arguments(call):
        return False
    code = getattr(function, "__code__", None)
    return code is not None and REFUSES_THE_CPU in code.co_names


def _forward(theirs: Any) -> Any:
    """The `forward` of an autograd.Function, or of the one whose `apply` this is; None for anything else."""
    if isinstance(theirs, type):
        theirs = getattr(theirs, "apply", None)
    function: Any = getattr(theirs, "__self__", None)
    return getattr(function, "forward", None) if getattr(theirs, "__name__", None) == "apply" else None


def _call(mine: Any) -> Callable[..., Any] | None:
    call = getattr(mine, "apply", None) if isinstance(mine, type) else mine
    return call if callable(call) else None


def _arguments(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)
