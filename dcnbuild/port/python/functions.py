"""Finds old-style autograd Functions: classes whose instances hold settings and are called."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator
from dataclasses import dataclass

from dcnbuild.port.python.module import Module, Signature, dotted

_BASES = frozenset({"Function", "autograd.Function", "torch.autograd.Function", "function.Function"})


@dataclass(frozen=True)
class OldFunction:
    """A class that is to be ported, and its methods."""

    node: ast.ClassDef
    init: ast.FunctionDef | None
    forward: ast.FunctionDef
    backward: ast.FunctionDef | None
    others: tuple[ast.FunctionDef, ...]
    signature: Signature


def old_functions(module: Module) -> Iterator[OldFunction]:
    """The old-style Functions of a file that can be ported."""
    known = bases(module)
    for node in module.of(ast.ClassDef):
        if is_old(node, known):
            found = _read(module, node)
            if found is not None:
                yield found


def is_old(node: ast.ClassDef, bases: Container[str]) -> bool:
    """Whether a class with one of these bases, autograd Functions, has a plain method as its forward."""
    forward = _method(node, "forward")
    return any(dotted(base) in bases for base in node.bases) and forward is not None and not forward.decorator_list


def bases(module: Module) -> frozenset[str]:
    """What a file calls torch.autograd.Function."""
    found = set(_BASES)
    for node in module.nodes:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        for alias in node.names:
            name = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            if alias.asname and name in ("torch.autograd", "torch.autograd.function"):
                found.add(f"{alias.asname}.Function")
            elif alias.asname and name in ("torch.autograd.Function", "torch.autograd.function.Function"):
                found.add(alias.asname)
    return frozenset(found)


def derived(module: Module) -> frozenset[str]:
    """Those, and the classes of a file that derive from them; InplaceFunction is one of torch's own."""
    found = {*bases(module), "InplaceFunction"}
    classes = list(module.of(ast.ClassDef))
    for _ in classes:
        more = {node.name for node in classes if found & set(map(dotted, node.bases))} - found
        if not more:
            break
        found |= more
    return frozenset(found)


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    methods = [s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == name]
    return methods[-1] if methods else None


def _read(module: Module, node: ast.ClassDef) -> OldFunction | None:
    init, forward = _method(node, "__init__"), _method(node, "forward")
    if forward is None:
        return None
    signature = _signature(module, init, forward)
    if signature is None:
        return None
    backward = _method(node, "backward")
    if not forward.args.args or (backward and not backward.args.args and not starred(module, backward)):
        return None
    methods = [s for s in node.body if isinstance(s, ast.FunctionDef)]
    others = tuple(
        method
        for method in methods
        if method.name not in ("__init__", "forward", "backward") and not method.decorator_list and method.args.args
    )
    return OldFunction(node, init, forward, backward, others, signature)


def starred(module: Module, method: ast.FunctionDef) -> dict[ast.Subscript, int] | None:
    """For `def backward(*args)`, each `args[n]` with its n; None where args is used in another way."""
    if method.args.vararg is None:
        return None
    found: dict[ast.Subscript, int] = {}
    for node in ast.walk(method):
        if not isinstance(node, ast.Name) or node.id != method.args.vararg.arg:
            continue
        item = module.parents[node]
        index = item.slice if isinstance(item, ast.Subscript) and item.value is node else None
        number = index.value if isinstance(index, ast.Constant) else None
        if not isinstance(item, ast.Subscript) or type(number) is not int:
            return None
        found[item] = number
    return found


def _signature(module: Module, init: ast.FunctionDef | None, forward: ast.FunctionDef) -> Signature | None:
    """The settings and inputs; None for what cannot be put into one parameter list."""
    inputs = tuple(argument.arg for argument in forward.args.args[1:])
    if forward.args.kwonlyargs or forward.args.kwarg or forward.args.posonlyargs:
        return None
    variadic = forward.args.vararg is not None
    if init is None:
        return Signature((), {}, inputs, variadic)
    arguments = init.args
    plain = not (arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs)
    if not plain or not arguments.args:
        return None
    settings = tuple(argument.arg for argument in arguments.args[1:])
    values = arguments.defaults
    defaults = {
        name: module.source(value) for name, value in zip(settings[len(settings) - len(values) :], values, strict=True)
    }
    clash = set(settings) & set(inputs)
    returns = any(isinstance(child, (ast.Return, ast.Yield)) for child in ast.walk(init))
    no_default = len(settings) > len(defaults) and forward.args.defaults
    if clash or returns or no_default or (variadic and settings):
        return None
    return Signature(settings, defaults, inputs, variadic)
