"""Decides, without running a repository's own file, whether our module of the same name can replace it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from dcnbuild.compat.bodies import may_differ, samples_otherwise

_FunctionDef = ast.FunctionDef | ast.AsyncFunctionDef


def can_replace(ours: ModuleType, source: str) -> bool:
    """Whether `ours` has every class and function of the file, with the arguments that the file gives them.

    `from dcn_v2 import DCN_sep_ours` must find the file's own class. So must a class that a decorator or call
    registers, that takes an argument that ours does not take, or that may compute something else (bodies.py). `ours`
    need not have private names, subclasses of `autograd.Function`, or names below `if`. A file that only re-exports its
    imports is not replaced.
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):  # Python 2: our module is better than an error
        return True
    defined = [node for node in body if isinstance(node, ast.ClassDef | _FunctionDef)]
    if not defined and _hands_on(body, ours):
        return False
    if any(_registers(statement, {node.name for node in defined}) for statement in body):
        return False
    return all(_has(ours, node) for node in defined if not _is_private(node)) and all(
        hasattr(ours, name) for name in _aliases(body)
    )


def names_of(source: str) -> set[str]:
    """The names that a file binds at its top; none if it is no Python 3."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return set()
    bound = {node.name for node in body if isinstance(node, ast.ClassDef | _FunctionDef)}
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    return bound | {target.id for target in targets if isinstance(target, ast.Name)}


def _is_private(node: ast.ClassDef | _FunctionDef) -> bool:
    is_function = isinstance(node, ast.ClassDef) and any(
        ast.unparse(base).rpartition(".")[2] == "Function" for base in node.bases
    )
    return node.name.startswith("_") or is_function


def _registers(statement: ast.stmt, names: set[str]) -> bool:
    """Whether it registers one of the file's classes: `LAYERS.register("DCN", DCN)`, `LAYERS["DCN"] = DCN`."""
    gives = isinstance(statement, ast.Expr) or (
        isinstance(statement, ast.Assign) and any(isinstance(target, ast.Subscript) for target in statement.targets)
    )
    return gives and any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(statement))


def _hands_on(body: list[ast.stmt], ours: ModuleType) -> bool:
    return any(
        hasattr(ours, alias.asname or alias.name) or alias.name == "*"
        for node in body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )


def _aliases(body: list[ast.stmt]) -> Iterator[str]:
    """Yields names bound to a class or to a Function's `apply`: `dcn_v2_conv = _DCNv2.apply`."""
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute):
            for target in node.targets:
                if isinstance(target, ast.Name) and not target.id.startswith("_"):
                    yield target.id


def _has(ours: ModuleType, node: ast.ClassDef | _FunctionDef) -> bool:
    mine = getattr(ours, node.name, None)
    if mine is None or node.decorator_list:
        return False
    if isinstance(node, _FunctionDef):
        return _accepts(mine, node, skip=0) and not samples_otherwise(node)
    if may_differ(node, {name for name in dir(mine) if not name.startswith("_")}):
        return False
    methods = {each.name: each for each in node.body if isinstance(each, _FunctionDef)}
    if "__init__" in methods and not _accepts(mine, methods["__init__"], skip=1):
        return False
    if "forward" not in methods:
        return True
    theirs = [a.arg for a in (*methods["forward"].args.posonlyargs, *methods["forward"].args.args)]
    return len(theirs) == len(inspect.signature(mine.forward).parameters)


def _accepts(mine: Any, node: _FunctionDef, skip: int) -> bool:
    """Whether ours accepts the arguments of the file's function, by position and by name."""
    theirs = [a.arg for a in (*node.args.posonlyargs, *node.args.args)][skip:]
    parameters = inspect.signature(mine).parameters
    positional = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    by_name = {a.arg for a in node.args.kwonlyargs}
    return positional[: len(theirs)] == theirs and by_name <= set(parameters)
