"""Where old-style Functions are called: `F(setting)(x)` becomes `F.apply(x, setting)`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from dcnbuild.port.edits import Edit, disjoint
from dcnbuild.port.python.functions import derived, is_old
from dcnbuild.port.python.module import Module, PythonScope, Signature, dotted
from dcnbuild.port.python.setup_script import without_statements
from dcnbuild.port.rule import entries, rewrites


def _names(module: Module, scope: PythonScope) -> dict[str, str]:
    """What the ported Functions are called in this file → their own names."""
    names = {name: name for name in scope.functions}
    aliases = (alias for node in module.of(ast.ImportFrom) for alias in node.names)
    return names | {a.asname: a.name for a in aliases if a.name in scope.functions and a.asname}


def _function(module: Module, node: ast.expr, names: dict[str, str]) -> str:
    """The ported Function that an expression names, "" if none."""
    return names.get(dotted(node).split(".")[-1], "")


def rewrite_autograd_call(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """The old calls of a file, rewritten; one inside another is found when that is done."""
    return disjoint(_call_edits(module, scope))


def _call_edits(module: Module, scope: PythonScope) -> Iterator[list[Edit]]:
    names = _names(module, scope)
    for node in module.of(ast.Call):
        made = node.func if isinstance(node.func, ast.Call) else node
        name = _function(module, made.func, names)
        signature = scope.functions[name] if name else Signature(())
        if name and made is not node:  # F(settings)(inputs)
            settings = _settings(module, made, signature)
            yield _apply(module, node, module.source(made.func), settings, signature) or []
        elif name:
            yield _variable(module, node, signature) or _attribute(module, node, signature) or []


def _apply(
    module: Module, call: ast.Call, name: str, settings: list[str] | None, signature: Signature
) -> list[Edit] | None:
    """The edits that make a call with inputs one of `name.apply`, with the settings behind them."""
    inputs = _inputs(module, call, signature)
    if settings is None or inputs is None:
        return None
    first, last = module.start(call), module.end(call)
    if call.keywords or not inputs:
        return [Edit(first, last, f"{name}.apply({', '.join([*inputs, *settings])})")]
    opening = module.text.index("(", module.end(call.func))
    inside = module.text[opening + 1 : last - 1].rstrip()
    at = opening + 1 + len(inside)
    more = "".join(f", {setting}" for setting in settings).removeprefix("," * inside.endswith(","))
    return [Edit(first, opening, f"{name}.apply"), *([Edit(at, at, more)] if more else [])]


def _settings(module: Module, made: ast.Call, signature: Signature) -> list[str] | None:
    """The settings of a call in order, as far as they are given; None if that cannot be said."""
    if any(isinstance(a, ast.Starred) for a in made.args) or any(not k.arg for k in made.keywords):
        return None
    given = dict(zip(signature.settings, map(module.source, made.args), strict=False))
    given |= {keyword.arg: module.source(keyword.value) for keyword in made.keywords if keyword.arg}
    if len(made.args) > len(signature.settings) or not set(given) <= set(signature.settings):
        return None
    values, last = [], max((signature.settings.index(name) for name in given), default=-1)
    for name in signature.settings[: last + 1]:
        value = given.get(name, signature.defaults.get(name))
        if value is None:
            return None
        values.append(value)
    return values


def _inputs(module: Module, call: ast.Call, signature: Signature) -> list[str] | None:
    if any(not keyword.arg for keyword in call.keywords):
        return None
    values = [module.source(argument) for argument in call.args]
    named = {keyword.arg: module.source(keyword.value) for keyword in call.keywords}
    rest = signature.inputs[len(values) :]
    if named and set(rest[: len(named)]) != set(named):
        return None
    return values + [named[name] for name in rest[: len(named)]]


def _variable(module: Module, made: ast.Call, signature: Signature) -> list[Edit] | None:
    """`f = F(settings)` and the `f(inputs)` behind it, in one function."""
    statement = module.parents[made]
    if not (
        isinstance(statement, ast.Assign)
        and statement.value is made
        and len(statement.targets) == 1
        and isinstance(statement.targets[0], ast.Name)
    ):
        return None
    variable = statement.targets[0].id
    around = next((n for n in module.ancestors(statement) if isinstance(n, (ast.FunctionDef, ast.Lambda))), None)
    if around is None:
        return None  # other files may call it
    settings = _settings(module, made, signature)
    uses = [node for node in ast.walk(around) if isinstance(node, ast.Name) and node.id == variable]
    calls = [parent for node in uses if isinstance(parent := module.parents[node], ast.Call) and parent.func is node]
    if settings is None or len(calls) + 1 != len(uses):
        return None
    return _apply_all(module, calls, made, settings, signature, list(without_statements(module, [statement])))


def _apply_all(
    module: Module, calls: list[ast.Call], made: ast.Call, settings: list[str], signature: Signature, first: list[Edit]
) -> list[Edit] | None:
    """The edits of all calls of what `made` makes, behind those where it is made; None where one cannot be made."""
    edits = [_apply(module, call, module.source(made.func), settings, signature) for call in calls]
    return [*first, *(edit for one in edits for edit in one or ())] if calls and all(edits) else None


def _attribute(module: Module, made: ast.Call, signature: Signature) -> list[Edit] | None:
    """`self.f = F(settings)` in a class, and `self.f(inputs)` in its methods.

    The settings go to the calls where they are constants or attributes that nothing else sets; else
    the attribute keeps them, so that they are what they were when it was made.
    """
    statement = module.parents[made]
    if not (isinstance(statement, ast.Assign) and len(statement.targets) == 1):
        return None
    target = statement.targets[0]
    method = next((n for n in module.ancestors(made) if isinstance(n, ast.FunctionDef)), None)
    around = next((n for n in module.ancestors(made) if isinstance(n, ast.ClassDef)), None)
    settings = _settings(module, made, signature)
    if around is None or method is None or settings is None or not dotted(target).startswith("self."):
        return None
    uses = [n for n in ast.walk(around) if dotted(n) == dotted(target) and n is not target]
    calls = [parent for use in uses if isinstance(parent := module.parents[use], ast.Call) and parent.func is use]
    if len(calls) < len(uses):
        return None
    kept = [_lasting(module, s, method, around) for s in settings]
    if None not in kept:
        made_by = list(without_statements(module, [statement]))
        settings = [setting for setting in kept if setting]
    else:
        values = ", ".join(settings) + ("," if len(settings) == 1 else "")
        made_by = [module.edit(made, f"({values})")]
        settings = [f"*{module.source(target)}"]
    return _apply_all(module, calls, made, settings, signature, made_by)


def _lasting(module: Module, setting: str, method: ast.FunctionDef, around: ast.ClassDef) -> str | None:
    """What a setting is called in any method: a constant, or an attribute that is set once."""
    value = ast.parse(setting.strip(), mode="eval").body
    if isinstance(value, ast.Constant):
        return setting
    set_here = [n for n in ast.walk(around) if isinstance(n, ast.Attribute) and _is_set(n)]
    names = [dotted(node) for node in set_here]
    if dotted(value).startswith("self.") and names.count(dotted(value)) <= 1:
        return setting
    for node in set_here if isinstance(value, ast.Name) else ():
        assigned = module.parents[node]
        plain = isinstance(assigned, ast.Assign) and module.source(assigned.value) == setting
        if plain and assigned in ast.walk(method) and names.count(dotted(node)) == 1:
            again = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == setting]
            if all(isinstance(n.ctx, ast.Load) for n in again):
                return dotted(node)
    return None


def _is_set(node: ast.Attribute) -> bool:
    return not isinstance(node.ctx, ast.Load) and dotted(node).startswith("self.")


def unported_uses(module: Module, scope: PythonScope) -> Iterator[ast.Call]:
    """Calls of a ported class as a constructor that are still there."""
    names = _names(module, scope)
    return (node for node in module.of(ast.Call) if _function(module, node.func, names))


def unported_classes(module: Module) -> Iterator[ast.ClassDef]:
    """Old-style Functions that are still there, those that derive from another class of the file among them."""
    known = derived(module)
    return (node for node in module.of(ast.ClassDef) if is_old(node, known))


RULES = entries(__file__, rewrites(globals()))
