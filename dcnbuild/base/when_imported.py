"""Imports one of our modules as soon as another module, such as torch, is imported; the order does not matter."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:
        # `import torch` and `import dcnbuild` must not fail because of this. Code that needs the operators imports the
        # module itself, and gets the error then.
        warnings.warn(f"dcnbuild could not register its operators: {error}", RuntimeWarning, stacklevel=3)


class _ThenImport(importlib.abc.Loader):
    """Runs the awaited module's own loader, then imports the waiting module."""

    def __init__(self, loader: importlib.abc.Loader, module: str) -> None:
        self.loader = loader
        self.module = module

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            # The awaited module must not show that it was loaded through this class.
            spec.loader = self.loader
        module.__loader__ = self.loader
        self.loader.exec_module(module)
        _import(self.module)


class _Finder(importlib.abc.MetaPathFinder):
    """Notices the first import of a module, removes itself, and lets the other finders find it."""

    def __init__(self, awaited: str, module: str) -> None:
        self.awaited = awaited
        self.module = module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.awaited:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(self.awaited)
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenImport(spec.loader, self.module)
        return spec


def when_imported(awaited: str, module: str, *, complete: str) -> None:
    """Imports `module` now if `awaited` is already imported, otherwise right after its import.

    Args:
        awaited, module: full names.
        complete: an attribute of `awaited`; once it exists, `module` can be imported.
    """
    loaded = sys.modules.get(awaited)
    if loaded is None:
        sys.meta_path.insert(0, _Finder(awaited, module))
    elif getattr(loaded, complete, None) is not None:
        _import(module)
    # otherwise `awaited` is being imported now, and imports dcnbuild itself: too early to register.
