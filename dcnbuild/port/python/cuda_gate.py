"""setup.py: the question whether to build for CUDA."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from dcnbuild.port.edits import Edit, newline_of
from dcnbuild.port.python.module import Module, PythonScope, dotted
from dcnbuild.port.rule import entries, rewrites

_HELPER = '''\
def _cuda_wanted():
    """Whether to build the CUDA code: FORCE_CUDA=1 or =0 decides, else a GPU or a toolkit does."""
    import os

    import torch
    from torch.utils.cpp_extension import CUDA_HOME

    forced = os.environ.get("FORCE_CUDA", "")
    if forced in ("0", "1"):
        return forced == "1"
    return torch.cuda.is_available() or (torch.version.cuda is not None and CUDA_HOME is not None)
'''


def rewrite_cuda_gate(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """`torch.cuda.is_available()` as the question whether to build for CUDA."""
    if "CUDAExtension" not in module.text or "FORCE_CUDA" in module.text:
        return
    if not any(dotted(node.func).split(".")[-1] == "setup" for node in module.of(ast.Call)):
        return
    calls = [
        node
        for node in module.of(ast.Call)
        if dotted(node.func) in ("torch.cuda.is_available", "cuda.is_available")
        and "hip" not in module.source(_condition(module, node))
    ]
    if not calls:
        return
    newline = newline_of(module.text)
    yield from (module.edit(call, "_cuda_wanted()") for call in calls)
    at = _behind_imports(module)
    yield Edit(at, at, f"\n\n{_HELPER}".replace("\n", newline))


def _condition(module: Module, node: ast.expr) -> ast.AST:
    """The whole boolean expression that a call is part of."""
    whole: ast.AST = node
    while isinstance(module.parents[whole], (ast.BoolOp, ast.UnaryOp, ast.Compare)):
        whole = module.parents[whole]
    return whole


def _behind_imports(module: Module) -> int:
    """Where the first imports of a file end, or its docstring, or the file begins."""
    last: ast.stmt | None = None
    for statement in module.tree.body:
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not docstring and not isinstance(statement, (ast.Import, ast.ImportFrom)):
            break
        last = statement
    if last is None:
        return 0
    span = module.whole_lines(last)
    return span[1] if span else module.end(last)


RULES = entries(__file__, rewrites(globals()))
