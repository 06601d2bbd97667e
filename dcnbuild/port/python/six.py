"""torch._six, which held what Python 2 and 3 had in common."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.edits import Edit, indent_of, newline_of
from dcnbuild.port.python.module import Module, PythonScope, dotted
from dcnbuild.port.rule import entries

_NAMES = beside(__file__, "six_names.yaml")


def rewrite_torch_six(module: Module, scope: PythonScope) -> Iterable[Edit]:
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "torch._six":
            if guarded(module, node) or any(alias.name not in _NAMES for alias in node.names):
                continue
            lines = [_NAMES[alias.name][0].format(name=alias.asname or alias.name) for alias in node.names]
            separator = newline_of(module.text) + indent_of(module.text, module.start(node))
            yield module.edit(node, (separator if module.whole_lines(node) else "; ").join(lines))
        elif isinstance(node, ast.Attribute) and dotted(node.value) == "torch._six":
            expression = _NAMES.get(node.attr, ("", ""))[1]
            if expression and not guarded(module, node):
                yield module.edit(node, expression)
        elif isinstance(node, ast.Import) and not guarded(module, node):
            plain = (alias for alias in node.names if alias.name == "torch._six" and alias.asname is None)
            yield from (module.edit(alias, "torch") for alias in plain)


def guarded(module: Module, node: ast.AST) -> bool:
    """Whether the file knows that torch._six may not be there."""
    child = node
    for parent in module.ancestors(node):
        tried = isinstance(parent, ast.Try) and child in parent.body and parent.handlers
        test = module.source(parent.test).lower() if isinstance(parent, ast.If) else ""
        asked = any(word in test for word in ("version", "major", "hasattr"))
        if tried or asked or isinstance(parent, ast.ExceptHandler):
            return True
        child = parent
    return False


RULES = entries(__file__, globals())
