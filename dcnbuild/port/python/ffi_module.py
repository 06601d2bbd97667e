"""Files that torch.utils.ffi wrote beside what it compiled, where a project has kept them."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from dcnbuild.port.edits import Edit
from dcnbuild.port.ffi import loads
from dcnbuild.port.python.module import Module, PythonScope, dotted
from dcnbuild.port.rule import entries


def _rewrite(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """The functions of a library of cffi were wrapped one by one; those of pybind11 are taken as they are."""
    loaded = list(loads(module)) if "_wrap_function" in module.text else []
    for load, lib, _ in loaded:
        yield module.edit(load, f"from . import {load.module} as {lib}")
    for node in module.nodes if loaded else ():
        if isinstance(node, ast.ImportFrom) and node.module == "torch.utils.ffi":
            if [alias.name for alias in node.names] == ["_wrap_function"]:
                yield module.edit(node, "import torch")
        elif isinstance(node, ast.Call) and dotted(node.func) == "_wrap_function" and len(node.args) == 2:
            yield module.edit(node, module.source(node.args[0]))
        elif (
            isinstance(node, ast.Call)
            and dotted(node.func) == "dir"
            and dotted(node.args[0]) in {n for _, n, _ in loaded}
        ):
            names = f"[name for name in dir({dotted(node.args[0])}) if not name.startswith('__')]"
            yield module.edit(node, names)


RULES = entries(
    __file__,
    {
        "ffi-module": _rewrite,
    },
)
