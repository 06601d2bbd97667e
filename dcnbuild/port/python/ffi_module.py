"""Files that torch.utils.ffi wrote beside what it compiled, where a project has kept them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from dcnbuild.port.edits import Edit
from dcnbuild.port.ffi import loads
from dcnbuild.port.python.module import Module, PythonScope, dotted
from dcnbuild.port.rule import entries, rewrites

#: Where an `ffi` comes from, what makes objects with it, and what loads a library of its own.
_CFFI = re.compile(r"\bFFI\(|(?<!utils)\.ffi\b")
_MAKERS = frozenset({"new", "cast", "NULL", "from_buffer", "addressof"})
_OTHER_LIBRARY = re.compile(r"\.(?:dlopen|cdef|set_source)\(")


def rewrite_ffi_module(module: Module, scope: PythonScope) -> Iterable[Edit]:
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


def objects_of_cffi(module: Module) -> Iterator[ast.AST]:
    """Where objects of cffi meet what pybind11 binds now: as arguments, compared with NULL, and `library.ffi`."""
    if not _CFFI.search(module.text) or _OTHER_LIBRARY.search(module.text):
        return
    values = [(dotted(n.targets[0]), n.value) for n in module.of(ast.Assign)]
    ffis = {to for to, value in values if _CFFI.search(module.source(value)) and not isinstance(value, ast.Constant)}
    brought = {alias.asname or alias.name for n in module.of(ast.ImportFrom) for alias in n.names}

    def is_made(node: ast.AST) -> bool:
        made = dotted(node.func if isinstance(node, ast.Call) else node)
        return made in held or (made.rpartition(".")[0] in ffis and made.rpartition(".")[2] in _MAKERS)

    held = set[str]()
    returned = ((f.name, n.value) for f in module.of(ast.FunctionDef) for n in ast.walk(f) if isinstance(n, ast.Return))
    held |= {to for to, value in (*values, *returned) if to and value is not None and is_made(value)}
    for node in module.nodes:
        asked = isinstance(node, ast.Attribute) and node.attr == "ffi" and dotted(node) != "torch.utils.ffi"
        owner, dot, name = dotted(getattr(node, "func", node)).rpartition(".")
        called = isinstance(node, ast.Call) and owner not in ffis and (dot or name in brought)
        if asked or any(map(is_made, getattr(node, "args" if called else "comparators", ()))):
            yield node


RULES = entries(__file__, rewrites(globals()))
