"""`torch.utils.cpp_extension.load` of an old package's extension gives ours, under installed names.

BasicSR's `load("deform_conv", sources=["…/deform_conv_ext.cpp", …])` compiles, when it is imported, the extension that
other copies import by name. The sources have the names that the module would have; what else is loaded is compiled as
ever.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from torch.utils import cpp_extension

from dcnbuild.compat.advice import add_note, of_module
from dcnbuild.compat.importing import extension_named

_compile = cpp_extension.load


def stand_in(name: str, sources: str | Iterable[str]) -> str | None:
    """The full name of our module for an extension of this name, made of these sources; None without one."""
    return next(filter(None, map(extension_named, _names(name, sources))), None)


def _names(name: str, sources: str | Iterable[str]) -> list[str]:
    files = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    return [name, *(PurePath(os.fspath(file)).stem for file in files)]


@functools.wraps(_compile)
def load(name: str, sources: Any, *args: Any, **options: Any) -> Any:
    ours = stand_in(name, sources) if options.get("is_python_module", True) else None
    if ours:
        return importlib.import_module(ours)
    try:
        return _compile(name, sources, *args, **options)
    except Exception as error:
        add_note(error, next(filter(None, map(of_module, _names(name, sources))), None))
        raise


cpp_extension.load = load
