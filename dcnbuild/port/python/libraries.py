"""What files take from CuPy and cffi: functions that are gone, and what torch.utils.ffi wrote beside its libraries."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from dcnbuild.knowledge import gone
from dcnbuild.port.edits import Edit, line_of
from dcnbuild.port.ffi import loads
from dcnbuild.port.python.module import Module, PythonScope, dotted
from dcnbuild.port.python.six import guarded
from dcnbuild.port.result import Remark
from dcnbuild.port.rule import entries

#: Where an `ffi` comes from, what makes objects with it, and what loads a library of its own.
_CFFI = re.compile(r"\bFFI\(|(?<!utils)\.ffi\b")
_MAKERS = frozenset({"new", "cast", "NULL", "from_buffer", "addressof"})
_OTHER_LIBRARY = re.compile(r"\.(?:dlopen|cdef|set_source)\(")


def _uses(module: Module) -> Iterator[tuple[ast.AST, gone.Gone]]:
    """What of CuPy is gone and used: as an attribute of the module, whatever it is called here, or imported."""
    aliases = (alias for node in module.of(ast.Import) for alias in node.names)
    known = {a.asname or a.name: a.name for a in aliases if a.name == "cupy"}
    for node in module.nodes if "cupy" in module.text else ():
        names: list[str] = []
        if isinstance(node, ast.Attribute):
            first, _, rest = dotted(node).partition(".")
            names = [f"{known.get(first, first if first == 'cupy' else '')}.{rest}"]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        row = next(filter(None, (gone.find("CuPy", name) for name in names)), None)
        if row and not guarded(module, node):
            yield node, row


def rewrite_cupy_gone(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """A function under its new name, and `compile_with_cache(source).get_function(name)`."""
    for node, row in ((node, row) for node, row in _uses(module) if isinstance(node, ast.Attribute)):
        call, owner = module.parents[node], dotted(node).partition(".")[0]
        if node.attr != "compile_with_cache":
            yield module.edit(node, f"{owner}.{row.use.rpartition('.')[2]}")
        elif isinstance(call, ast.Call) and call.func is node and len(call.args) == 1 and not call.keywords:
            asked = module.parents[call]
            if isinstance(asked, ast.Attribute) and asked.attr == "get_function":
                yield module.edit(node, f"{owner}.RawModule")
                yield Edit(module.start(call.args[0]), module.start(call.args[0]), "code=")


def left_cupy(module: Module) -> Iterator[Remark]:
    """What is gone and has no rule."""
    for node, row in _uses(module):
        advice = f"write {row.use}"
        place = (line_of(module.text, module.start(node)),)
        yield Remark("gone-name", place, row.names[0], f"CuPy has it no longer since {row.since}", advice, "broken")


def rewrite_ffi_module(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """The functions of a library of cffi were wrapped one by one; those of pybind11 are taken as they are."""
    loaded = list(loads(module)) if "_wrap_function" in module.text else []
    for load, lib, _ in loaded:
        yield module.edit(load, f"from . import {load.module} as {lib}")
    for node in module.nodes if loaded else ():
        called, given = (dotted(node.func), node.args) if isinstance(node, ast.Call) else ("", [])
        if isinstance(node, ast.ImportFrom) and node.module == "torch.utils.ffi":
            if [alias.name for alias in node.names] == ["_wrap_function"]:
                yield module.edit(node, "import torch")
        elif called == "_wrap_function" and len(given) == 2:
            yield module.edit(node, module.source(given[0]))
        elif called == "dir" and dotted(given[0]) in {name for _, name, _ in loaded}:
            yield module.edit(node, f"[name for name in dir({dotted(given[0])}) if not name.startswith('__')]")


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


RULES = entries(__file__, globals())
