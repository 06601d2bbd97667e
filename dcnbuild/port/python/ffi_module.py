"""Files that torch.utils.ffi wrote beside what it compiled, where a project has kept them."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from dcnbuild.port.edits import Edit
from dcnbuild.port.ffi import loads
from dcnbuild.port.python.module import Module, PythonScope, dotted
from dcnbuild.port.rule import Rule


def _rewrite(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """The functions of a library of cffi were wrapped one by one; those of pybind11 are taken as they are."""
    loaded = list(loads(module)) if "_wrap_function" in module.text else []
    for load, lib, _ in loaded:
        yield Edit(module.start(load), module.end(load), f"from . import {load.module} as {lib}")
    for node in module.nodes if loaded else ():
        if isinstance(node, ast.ImportFrom) and node.module == "torch.utils.ffi":
            if [alias.name for alias in node.names] == ["_wrap_function"]:
                yield Edit(module.start(node), module.end(node), "import torch")
        elif isinstance(node, ast.Call) and dotted(node.func) == "_wrap_function" and len(node.args) == 2:
            yield Edit(module.start(node), module.end(node), module.source(node.args[0]))
        elif (
            isinstance(node, ast.Call)
            and dotted(node.func) == "dir"
            and dotted(node.args[0]) in {n for _, n, _ in loaded}
        ):
            names = f"[name for name in dir({dotted(node.args[0])}) if not name.startswith('__')]"
            yield Edit(module.start(node), module.end(node), names)


_LOOP = """
__all__ = []
def _import_symbols(locals):
    for symbol in {names}:
        fn = getattr(_lib, symbol)
        locals[symbol] = {function}
        __all__.append(symbol)

_import_symbols(locals())
"""
RULES = (
    Rule(
        id="ffi-module",
        gone="torch 1.0",
        since="torch 1.0",
        pattern="from torch.utils.ffi import _wrap_function; from ._twice import lib as _lib, ffi as _ffi",
        replacement="import torch; from . import _twice as _lib",
        before="from torch.utils.ffi import _wrap_function\nfrom ._twice import lib as _lib, ffi as _ffi\n"
        + _LOOP.format(names="dir(_lib)", function="_wrap_function(fn, _ffi)"),
        after="import torch\nfrom . import _twice as _lib\n"
        + _LOOP.format(names="[name for name in dir(_lib) if not name.startswith('__')]", function="fn"),
        untouched=("from .mine import lib as _lib, ffi as _ffi\nnames = dir(_lib)\n",),
        why="torch.utils.ffi wrote this file; the new setup.py makes the module that it loads.",
        rewrite=_rewrite,
        language="Python",
    ),
)
