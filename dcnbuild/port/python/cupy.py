"""Functions of CuPy that are gone: kernels of flow and interpolation networks are compiled with them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from dcnbuild.knowledge import gone
from dcnbuild.port.edits import Edit, line_of
from dcnbuild.port.python.module import Module, PythonScope, dotted
from dcnbuild.port.python.six import guarded
from dcnbuild.port.result import Remark
from dcnbuild.port.rule import entries, rewrites


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
    for node, row in _uses(module):
        call = module.parents.get(node)
        if not isinstance(node, ast.Attribute):
            continue
        if node.attr != "compile_with_cache":
            new = row.use.rpartition(".")[2]
            yield module.edit(node, f"{dotted(node).partition('.')[0]}.{new}")
        elif isinstance(call, ast.Call) and call.func is node and len(call.args) == 1 and not call.keywords:
            asked = module.parents.get(call)
            if isinstance(asked, ast.Attribute) and asked.attr == "get_function":
                yield module.edit(node, f"{dotted(node).partition('.')[0]}.RawModule")
                yield Edit(module.start(call.args[0]), module.start(call.args[0]), "code=")


def left(module: Module) -> Iterator[Remark]:
    """What is gone and has no rule."""
    for node, row in _uses(module):
        advice = f"write {row.use}"
        place = (line_of(module.text, module.start(node)),)
        yield Remark("gone-name", place, row.names[0], f"CuPy has it no longer since {row.since}", advice, "broken")


RULES = entries(__file__, rewrites(globals()))
