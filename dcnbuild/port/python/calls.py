"""Where old-style Functions are called: `F(setting)(x)` becomes `F.apply(x, setting)`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from dcnbuild.port.edits import Edit, disjoint
from dcnbuild.port.python.module import Module, PythonScope, Signature, dotted
from dcnbuild.port.python.setup_script import without_statements
from dcnbuild.port.rule import entries, rewrites


def old_calls(module: Module, scope: PythonScope) -> Iterator[tuple[ast.Call, str]]:
    """The calls of ported Functions as constructors, whatever those are called in this file, with their own names."""
    names = {name: name for name in scope.functions}
    aliases = (alias for node in module.of(ast.ImportFrom) for alias in node.names)
    names |= {a.asname: a.name for a in aliases if a.name in scope.functions and a.asname}
    for node in module.of(ast.Call):
        name = names.get(dotted(node.func).split(".")[-1], "")
        if name:
            yield node, name


def rewrite_autograd_call(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """The old calls of a file, rewritten; one inside another is found when that is done."""
    groups: list[list[Edit] | None] = []
    for made, name in old_calls(module, scope):
        signature, call = scope.functions[name], module.parents[made]
        if isinstance(call, ast.Call) and call.func is made:  # F(settings)(inputs)
            settings = _settings(module, made, signature)
            groups.append(_apply(module, call, module.source(made.func), settings, signature))
        else:
            groups.append(_held(module, made, signature))
    return disjoint(group or [] for group in groups)


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
    last = max((signature.settings.index(name) for name in given), default=-1)
    every = {**signature.defaults, **given}
    asked = signature.settings[: last + 1]
    return [every[name] for name in asked] if set(asked) <= set(every) else None


def _inputs(module: Module, call: ast.Call, signature: Signature) -> list[str] | None:
    if any(not keyword.arg for keyword in call.keywords):
        return None
    values = [module.source(argument) for argument in call.args]
    named = {keyword.arg: module.source(keyword.value) for keyword in call.keywords}
    rest = signature.inputs[len(values) :]
    if named and set(rest[: len(named)]) != set(named):
        return None
    return values + [named[name] for name in rest[: len(named)]]


def _held(module: Module, made: ast.Call, signature: Signature) -> list[Edit] | None:
    """`f = F(settings)` and the `f(inputs)` in one function; `self.f = F(settings)` and `self.f(inputs)` in one class.

    The settings go to the calls where they are constants or attributes that nothing else sets; else
    the attribute keeps them, so that they are what they were when it was made.
    """
    statement, settings = module.parents[made], _settings(module, made, signature)
    if not isinstance(statement, ast.Assign) or len(statement.targets) > 1 or settings is None:
        return None
    target, made_by = statement.targets[0], list(without_statements(module, [statement]))
    method = next((n for n in module.ancestors(made) if isinstance(n, ast.FunctionDef)), None)
    around: ast.AST | None = method  # of what stands in no function, other files may call it
    if not isinstance(target, ast.Name):
        around = next((n for n in module.ancestors(made) if isinstance(n, ast.ClassDef)), None)
        if around is None or method is None or not dotted(target).startswith("self."):
            return None
        kept = [_lasting(module, s, method, around) for s in settings]
        if None in kept:
            values = ", ".join(settings) + ("," if len(settings) == 1 else "")
            made_by = [module.edit(made, f"({values})")]
            kept = [f"*{module.source(target)}"]
        settings = [setting for setting in kept if setting]
    uses = [n for n in ast.walk(around) if dotted(n) == dotted(target) and n is not target] if around else []
    calls = [parent for use in uses if isinstance(parent := module.parents[use], ast.Call) and parent.func is use]
    edits = [_apply(module, call, module.source(made.func), settings, signature) for call in calls]
    whole = calls and len(calls) == len(uses) and all(edits)
    return [*made_by, *(edit for one in edits for edit in one or ())] if whole else None


def _lasting(module: Module, setting: str, method: ast.FunctionDef, around: ast.ClassDef) -> str | None:
    """What a setting is called in any method: a constant, or an attribute that is set once."""
    value = ast.parse(setting.strip(), mode="eval").body
    if isinstance(value, ast.Constant):
        return setting
    attributes = (n for n in ast.walk(around) if isinstance(n, ast.Attribute) and dotted(n).startswith("self."))
    set_here = [node for node in attributes if not isinstance(node.ctx, ast.Load)]
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


RULES = entries(__file__, rewrites(globals()))
