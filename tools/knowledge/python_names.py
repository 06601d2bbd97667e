"""Lists the names that Python modules define, from their sources and stubs, without importing them."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache


@dataclass
class Module:
    """A module's own names → kind, what it imports, and the members of its classes."""

    names: dict[str, str] = field(default_factory=dict)
    members: dict[str, dict[str, str]] = field(default_factory=dict)
    imported: list[tuple[str, str, str]] = field(default_factory=list)  # module, name, as
    starred: list[str] = field(default_factory=list)
    exported: tuple[str, ...] | None = None


@cache
def read(text: str, name: str, package: bool) -> Module | None:
    """Returns a module's names; None if this Python cannot parse it.

    Args:
        text: its source.
        name: its full name, against which relative imports are resolved.
        package: whether it is an __init__ file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    module = Module()
    for statement in _statements(tree.body):
        _read(module, statement, name, package)
    return module


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yields the statements at module level, including those under if, try and with."""
    for statement in body:
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            yield from _statements(statement.body)
            yield from _statements(getattr(statement, "orelse", []))
            for handler in getattr(statement, "handlers", []):
                yield from _statements(handler.body)
        else:
            yield statement


def _read(module: Module, statement: ast.stmt, name: str, package: bool) -> None:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        module.names[statement.name] = "function"
    elif isinstance(statement, ast.ClassDef):
        module.names[statement.name] = "class"
        module.members[statement.name] = dict(_members(statement))
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
        for target in _targets(statement):
            module.names[target] = "attribute"
            if target == "__all__":
                module.exported = _strings(statement.value)
    elif isinstance(statement, ast.ImportFrom):
        source = _absolute(statement, name, package)
        for alias in statement.names:
            if alias.name == "*":
                module.starred.append(source)
            else:
                module.imported.append((source, alias.name, alias.asname or alias.name))


def _members(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement in _statements(node.body):
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield statement.name, "function"
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            for target in _targets(statement):
                yield target, "attribute"


def _targets(statement: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        for node in target.elts if isinstance(target, ast.Tuple) else [target]:
            if isinstance(node, ast.Name):
                yield node.id


def _strings(node: ast.expr | None) -> tuple[str, ...] | None:
    if isinstance(node, (ast.List, ast.Tuple)):
        return tuple(item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str))
    return None


def _absolute(statement: ast.ImportFrom, name: str, package: bool) -> str:
    if not statement.level:
        return statement.module or ""
    parts = name.split(".")
    base = parts[: len(parts) - statement.level + (1 if package else 0)]
    return ".".join([*base, *([statement.module] if statement.module else [])])


def public(modules: Mapping[str, Module], name: str, depth: int = 3) -> dict[str, str]:
    """Returns the public names of a module → kind, including names that it imports with `*`."""
    module = modules.get(name)
    if module is None or not depth:
        return {}
    found = dict(module.names)
    for source in module.starred:
        found.update((key, kind) for key, kind in public(modules, source, depth - 1).items() if key not in found)
    for source, original, own in module.imported:
        if source.split(".")[0] == name.split(".")[0] and own not in found:
            other = modules.get(source)
            found[own] = (other.names.get(original) if other else None) or "attribute"
    if module.exported is not None:
        found.update((key, "attribute") for key in module.exported if key not in found)
    return {key: kind for key, kind in found.items() if not key.startswith("_")}
