"""Old-style autograd Functions become static methods with a context, and `F(setting)(x)` becomes `F.apply(x, setting)`.

`functions` says which those are.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Iterator
from itertools import chain

from dcnbuild.port.edits import Edit, Revision, disjoint, indent_of, line_start, newline_of
from dcnbuild.port.python.functions import OldFunction, old_functions, starred
from dcnbuild.port.python.module import Module, PythonScope, Signature, dotted
from dcnbuild.port.python.setup_script import without_statements
from dcnbuild.port.rule import entries


def rewrite_autograd_function(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """The edits of each old-style Function of a file."""
    return disjoint(
        list(_edits(module, function)) for function in old_functions(module) if function.node.name in scope.functions
    )


def _edits(module: Module, function: OldFunction) -> Iterator[Edit]:
    newline = newline_of(module.text)
    for method in (function.forward, *function.others, function.backward):
        if method is not None:
            at = module.start(method)
            yield Edit(at, at, f"@staticmethod{newline}{indent_of(module.text, at)}")
            yield from _renames(module, function, method)
    if function.backward is not None and function.signature.settings:
        yield from _returns(module, function, function.backward)
    if function.init is not None:
        yield from _settings(module, function, function.init)
        yield from _without_init(module, function.node.body, function.init)


def _settings(module: Module, function: OldFunction, init: ast.FunctionDef) -> Iterator[Edit]:
    """The settings as further parameters of forward, and what __init__ did with them."""
    signature, arguments = function.signature, function.forward.args
    names = (f"{n}={signature.defaults[n]}" if n in signature.defaults else n for n in signature.settings)
    behind = module.end([*arguments.args, *arguments.defaults][-1])
    yield Edit(behind, behind, "".join(f", {name}" for name in names))
    body = _init_body(module, function, init)
    if body:
        at = module.start((_statements(function.forward) or function.forward.body)[0])
        indent, newline = indent_of(module.text, at), newline_of(module.text)
        lines = textwrap.dedent(body.replace("\r\n", "\n")).strip("\n").split("\n")
        block = newline.join(indent + line if line.strip() else "" for line in lines).lstrip()
        yield Edit(at, at, block + newline + indent)


def _init_body(module: Module, function: OldFunction, init: ast.FunctionDef) -> str:
    """What __init__ does beside calling its base, with `ctx` for `self`; "" if that is nothing."""
    calls = [s for s in init.body if isinstance(s, ast.Expr) and "__init__" in module.source(s)]
    statements = [s for s in _statements(init) if s not in calls]
    if all(isinstance(s, ast.Pass) for s in statements):
        return ""
    start, end = module.start(statements[0]), module.end(statements[-1])
    without = [Edit(*(module.whole_lines(s) or (module.start(s), module.end(s))), "") for s in calls]
    body = Revision(module.text[start:end])
    inside = (e for e in (*_renames(module, function, init), *without) if start <= e.start and e.end <= end)
    body.apply(Edit(e.start - start, e.end - start, e.new) for e in inside)
    return indent_of(module.text, start) + body.text


def _statements(method: ast.FunctionDef) -> list[ast.stmt]:
    """The body of a method without its docstring."""
    return method.body[ast.get_docstring(method, clean=False) is not None :]


def _renames(module: Module, function: OldFunction, method: ast.FunctionDef) -> Iterator[Edit]:
    """`self` becomes `ctx`, or the class where the class is meant."""
    items = starred(module, method) if not method.args.args else None
    if items is not None:  # def backward(*args): args[0] is self
        at = module.text.index("*", module.start(method))
        yield Edit(at, at, "ctx, ")
        for item, number in items.items():
            yield module.edit(item, f"{module.source(item.value)}[{number - 1}]" if number else "ctx")
        return
    own = method.args.args[0]
    helpers = {other.name for other in function.others}
    assigned = (t for s in function.node.body if isinstance(s, ast.Assign) for t in s.targets)
    methods = (s for s in function.node.body if isinstance(s, ast.FunctionDef))
    on_class = {t.id for t in assigned if isinstance(t, ast.Name)} | {m.name for m in methods if m.decorator_list}
    if method is not function.init:
        yield Edit(module.start(own), module.start(own) + len(own.arg), "ctx")
    for node in ast.walk(method):
        if not isinstance(node, ast.Name) or node.id != own.arg:
            continue
        parent = module.parents[node]
        attribute = parent.attr if isinstance(parent, ast.Attribute) else ""
        yield module.edit(node, function.node.name if attribute in on_class | helpers else "ctx")
        call = module.parents[parent]
        if attribute in on_class:
            continue
        if attribute in helpers and isinstance(call, ast.Call) and call.func is parent:
            at = module.text.index("(", module.end(parent)) + 1
            yield Edit(at, at, "ctx, " if call.args or call.keywords else "ctx")
        elif attribute == "saved_variables" and attribute not in helpers:
            yield Edit(module.end(parent) - len(attribute), module.end(parent), "saved_tensors")


def _returns(module: Module, function: OldFunction, backward: ast.FunctionDef) -> Iterator[Edit]:
    """A gradient of None for each setting, in each return of backward."""
    more = ", None" * len(function.signature.settings)
    for value in _returned(backward):
        end = module.end(value)
        if isinstance(value, ast.Tuple):
            text = module.source(value)
            inside = end - 1 if text.startswith("(") and text.endswith(")") else end
            comma = module.text[:inside].rstrip().endswith(",")
            yield Edit(inside, inside, more.lstrip(",") if comma else more)
        elif len(function.signature.inputs) > 1 and not isinstance(value, ast.Constant):
            yield Edit(module.start(value), module.start(value), "(*")
            yield Edit(end, end, f"{more})")
        else:
            yield Edit(end, end, more)


def _returned(method: ast.FunctionDef) -> Iterator[ast.expr]:
    """What a method returns, but for the functions and classes in it."""
    waiting: list[ast.AST] = list(method.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return):
            yield from [node.value] if node.value else ()
        elif not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))


def _without_init(module: Module, body: list[ast.stmt], init: ast.FunctionDef) -> Iterator[Edit]:
    index = body.index(init)
    if index + 1 < len(body):
        following = line_start(module.text, module.start(body[index + 1]))
        comment = module.text.find("#", module.end(init), following)  # one above the next method stays
        end = following if comment < 0 else line_start(module.text, comment)
        yield Edit(line_start(module.text, module.start(init)), end, "")
    else:
        yield Edit(module.end(body[index - 1]) if index else module.start(init), module.end(init), "")


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
    groups: list[list[Edit]] = []
    for made, name in old_calls(module, scope):
        signature, call = scope.functions[name], module.parents[made]
        settings = _given(module, made, signature)
        if settings is None:
            continue
        if isinstance(call, ast.Call) and call.func is made:  # F(settings)(inputs)
            groups.append(_apply(module, call, made, settings, signature))
        else:
            groups.append(_held(module, made, settings, signature))
    return disjoint(groups)


def _apply(module: Module, call: ast.Call, made: ast.Call, settings: list[str], signature: Signature) -> list[Edit]:
    """The edits that make a call with inputs one of `F.apply`, with the settings behind them; none if none can."""
    name = module.source(made.func)
    named = {keyword.arg: module.source(keyword.value) for keyword in call.keywords}
    asked = signature.inputs[len(call.args) :][: len(named)]
    if None in named or set(asked) != set(named):
        return []
    inputs = [*map(module.source, call.args), *(named[name] for name in asked)]
    first, last = module.start(call), module.end(call)
    if call.keywords or not inputs:
        return [Edit(first, last, f"{name}.apply({', '.join([*inputs, *settings])})")]
    opening = module.text.index("(", module.end(call.func))
    inside = module.text[opening + 1 : last - 1].rstrip()
    at = opening + 1 + len(inside)
    more = "".join(f", {setting}" for setting in settings).removeprefix("," * inside.endswith(","))
    return [Edit(first, opening, f"{name}.apply"), *([Edit(at, at, more)] if more else [])]


def _given(module: Module, made: ast.Call, signature: Signature) -> list[str] | None:
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


def _held(module: Module, made: ast.Call, settings: list[str], signature: Signature) -> list[Edit]:
    """`f = F(settings)` and the `f(inputs)` in one function; `self.f = F(settings)` and `self.f(inputs)` in one class.

    The settings go to the calls where they are constants or attributes that nothing else sets; else
    the attribute keeps them, so that they are what they were when it was made.
    """
    statement = module.parents[made]
    if not isinstance(statement, ast.Assign) or len(statement.targets) > 1:
        return []
    target, made_by = statement.targets[0], list(without_statements(module, [statement]))
    method = next((n for n in module.ancestors(made) if isinstance(n, ast.FunctionDef)), None)
    around: ast.AST | None = method  # of what stands in no function, other files may call it
    if not isinstance(target, ast.Name):
        around = next((n for n in module.ancestors(made) if isinstance(n, ast.ClassDef)), None)
        if around is None or method is None or not dotted(target).startswith("self."):
            return []
        kept = [_lasting(module, s, method, around) for s in settings]
        if None in kept:
            values = ", ".join(settings) + ("," if len(settings) == 1 else "")
            made_by = [module.edit(made, f"({values})")]
            kept = [f"*{module.source(target)}"]
        settings = [setting for setting in kept if setting]
    uses = [n for n in ast.walk(around) if dotted(n) == dotted(target) and n is not target] if around else []
    calls = [parent for use in uses if isinstance(parent := module.parents[use], ast.Call) and parent.func is use]
    edits = [_apply(module, call, made, settings, signature) for call in calls]
    whole = calls and len(calls) == len(uses) and all(edits)
    return [*made_by, *chain.from_iterable(edits)] if whole else []


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
    uses = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == setting]
    for node in set_here if isinstance(value, ast.Name) and all(isinstance(n.ctx, ast.Load) for n in uses) else ():
        assigned = module.parents[node]
        plain = isinstance(assigned, ast.Assign) and module.source(assigned.value) == setting
        if plain and assigned in ast.walk(method) and names.count(dotted(node)) == 1:
            return dotted(node)
    return None


RULES = entries(__file__, globals())
