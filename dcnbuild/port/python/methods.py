"""Old-style autograd Functions become static methods with a context; see `functions`."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Iterator

from dcnbuild.port.edits import Edit, Revision, disjoint, indent_of, line_start, newline_of
from dcnbuild.port.python.functions import OldFunction, old_functions, starred
from dcnbuild.port.python.module import Module, PythonScope
from dcnbuild.port.rule import entries, rewrites


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


RULES = entries(__file__, rewrites(globals()))
