"""Finds old-style autograd Functions: classes whose instances hold settings and are called."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator
from dataclasses import dataclass

from dcnbuild.port.python.module import Module, Signature, dotted

_MODULES = ("torch.autograd", "torch.autograd.function")
_CLASSES = tuple(f"{module}.Function" for module in _MODULES)
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
        methods = [s for s in node.body if isinstance(s, ast.FunctionDef)]
        named = {method.name: method for method in methods}
        forward, backward = named.get("forward"), named.get("backward")
        if not is_old(node, known) or forward is None or not forward.args.args:
            continue
        signature = _signature(module, named.get("__init__"), forward)
        if signature is None or (backward and not backward.args.args and not starred(module, backward)):
            continue
        kept = (m for m in methods if m.name not in ("__init__", "forward", "backward"))
        others = tuple(method for method in kept if not method.decorator_list and method.args.args)
        yield OldFunction(node, named.get("__init__"), forward, backward, others, signature)


def is_old(node: ast.ClassDef, bases: Container[str]) -> bool:
    """Whether a class with one of these bases, autograd Functions, has a plain method as its forward."""
    forward = [s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "forward"][-1:]
    return any(dotted(base) in bases for base in node.bases) and any(not f.decorator_list for f in forward)


def bases(module: Module) -> frozenset[str]:
    """What a file calls torch.autograd.Function."""
    names = [(a.name, a.asname) for node in module.of(ast.Import) for a in node.names]
    names += [(f"{node.module}.{a.name}", a.asname) for node in module.of(ast.ImportFrom) for a in node.names]
    modules = {f"{other}.Function" for name, other in names if other and name in _MODULES}
    return _BASES | modules | {other for name, other in names if other and name in _CLASSES}


def derived(module: Module) -> frozenset[str]:
    """Those, and the classes of a file that derive from them; InplaceFunction is one of torch's own."""
    found = {*bases(module), "InplaceFunction"}
    classes = list(module.of(ast.ClassDef))
    while more := {node.name for node in classes if found & set(map(dotted, node.bases))} - found:
        found |= more
    return frozenset(found)


def starred(module: Module, method: ast.FunctionDef) -> dict[ast.Subscript, int] | None:
    """For `def backward(*args)`, each `args[n]` with its n; None where args is used in another way."""
    given = method.args.vararg
    names = (node for node in ast.walk(method) if given and isinstance(node, ast.Name) and node.id == given.arg)
    found: dict[ast.Subscript, int] = {}
    for node in names:
        item = module.parents[node]
        index = item.slice if isinstance(item, ast.Subscript) and item.value is node else None
        number = index.value if isinstance(index, ast.Constant) else None
        if not isinstance(item, ast.Subscript) or type(number) is not int:
            return None
        found[item] = number
    return found if given else None


def _signature(module: Module, init: ast.FunctionDef | None, forward: ast.FunctionDef) -> Signature | None:
    """The settings and inputs; None for what cannot be put into one parameter list."""
    inputs = tuple(argument.arg for argument in forward.args.args[1:])
    variadic = forward.args.vararg is not None
    if forward.args.kwonlyargs or forward.args.kwarg or forward.args.posonlyargs:
        return None
    if init is None:
        return Signature((), {}, inputs, variadic)
    given = init.args
    settings = tuple(argument.arg for argument in given.args[1:])
    defaults = dict(zip(reversed(settings), map(module.source, reversed(given.defaults))))
    plain = given.args and not (given.vararg or given.kwarg or given.kwonlyargs or given.posonlyargs)
    clash = set(settings) & set(inputs)
    returns = any(isinstance(child, (ast.Return, ast.Yield)) for child in ast.walk(init))
    no_default = len(settings) > len(defaults) and forward.args.defaults
    possible = plain and not (clash or returns or no_default or (variadic and settings))
    return Signature(settings, defaults, inputs, variadic) if possible else None
