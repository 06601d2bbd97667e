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
    methods = [function.forward, *function.others]
    if function.backward is not None:
        methods.append(function.backward)
    for method in methods:
        indent = indent_of(module.text, module.start(method))
        at = module.start(method)
        yield Edit(at, at, f"@staticmethod{newline}{indent}")
        yield from _renames(module, function, method)
    yield from _settings(module, function)
    if function.backward is not None and function.signature.settings:
        yield from _returns(module, function)
    if function.init is not None:
        yield from _without_init(module, function)


def _settings(module: Module, function: OldFunction) -> Iterator[Edit]:
    """The settings as further parameters of forward, and what __init__ did with them."""
    init, forward = function.init, function.forward
    if init is None:
        return
    names = [
        f"{name}={function.signature.defaults[name]}" if name in function.signature.defaults else name
        for name in function.signature.settings
    ]
    if names:
        arguments = forward.args
        last = arguments.defaults[-1] if arguments.defaults else arguments.args[-1]
        at = module.end(last)
        yield Edit(at, at, "".join(f", {name}" for name in names))
    body = _init_body(module, function)
    if body:
        first = _first_statement(forward)
        at = module.start(first)
        indent = indent_of(module.text, at)
        newline = newline_of(module.text)
        yield Edit(at, at, _reindent(body, indent, newline) + newline + indent)


def _init_body(module: Module, function: OldFunction) -> str:
    """What __init__ does beside calling its base, with `ctx` for `self`; "" if that is nothing."""
    init = function.init
    assert init is not None
    statements = [s for s in init.body if not _is_super(module, s) and not _is_docstring(init, s)]
    if not statements or all(isinstance(s, ast.Pass) for s in statements):
        return ""
    start, end = module.start(statements[0]), module.end(statements[-1])
    calls = [s for s in init.body if _is_super(module, s) and start < module.start(s) < end]
    without = [Edit(*(module.whole_lines(s) or (module.start(s), module.end(s))), "") for s in calls]
    body = Revision(module.text[start:end])
    inside = (e for e in (*_renames(module, function, init), *without) if start <= e.start and e.end <= end)
    body.apply(Edit(e.start - start, e.end - start, e.new) for e in inside)
    return indent_of(module.text, start) + body.text


def _reindent(text: str, indent: str, newline: str) -> str:
    """A block under another indentation, without that of its first line."""
    block = textwrap.dedent(text.replace("\r\n", "\n")).strip("\n")
    lines = [indent + line if line.strip() else "" for line in block.split("\n")]
    return newline.join(lines).lstrip()


def _is_super(module: Module, statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and "__init__" in module.source(statement)


def _is_docstring(method: ast.FunctionDef, statement: ast.stmt) -> bool:
    return (
        statement is method.body[0]
        and isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _first_statement(method: ast.FunctionDef) -> ast.stmt:
    behind = len(method.body) > 1 and _is_docstring(method, method.body[0])
    return method.body[1 if behind else 0]


def _renames(module: Module, function: OldFunction, method: ast.FunctionDef) -> Iterator[Edit]:
    """`self` becomes `ctx`, or the class where the class is meant."""
    items = starred(module, method) if not method.args.args else None
    if items is not None:  # def backward(*args): args[0] is self
        at = module.text.index("*", module.start(method))
        yield Edit(at, at, "ctx, ")
        for item, number in items.items():
            name = module.source(item.value)
            new = "ctx" if number == 0 else f"{name}[{number - 1}]"
            yield module.edit(item, new)
        return
    own = method.args.args[0]
    helpers = {other.name for other in function.others}
    on_class = {
        target.id
        for statement in function.node.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    } | {
        statement.name
        for statement in function.node.body
        if isinstance(statement, ast.FunctionDef) and statement.decorator_list
    }
    name_end = module.offset(own.lineno, own.col_offset) + len(own.arg)
    if method is not function.init:
        yield Edit(module.start(own), name_end, "ctx")
    for node in ast.walk(method):
        if not isinstance(node, ast.Name) or node.id != own.arg:
            continue
        parent = module.parents[node]
        attribute = parent.attr if isinstance(parent, ast.Attribute) else ""
        start, end = module.start(node), module.end(node)
        if attribute in on_class:
            yield Edit(start, end, function.node.name)
        elif attribute in helpers:
            yield Edit(start, end, function.node.name)
            call = module.parents[parent]
            if isinstance(call, ast.Call) and call.func is parent:
                at = module.text.index("(", module.end(parent)) + 1
                yield Edit(at, at, "ctx, " if call.args or call.keywords else "ctx")
        else:
            yield Edit(start, end, "ctx")
            if attribute == "saved_variables":
                at = module.end(parent) - len(attribute)
                yield Edit(at, module.end(parent), "saved_tensors")


def _returns(module: Module, function: OldFunction) -> Iterator[Edit]:
    """A gradient of None for each setting, in each return of backward."""
    backward = function.backward
    assert backward is not None
    count = len(function.signature.settings)
    more = ", None" * count
    for node in _own_returns(backward):
        value = node.value
        if value is None:
            continue
        end = module.end(value)
        if isinstance(value, ast.Tuple):
            text = module.source(value)
            inside = end - 1 if text.startswith("(") and text.endswith(")") else end
            kept = module.text[:inside].rstrip()
            comma = kept.endswith(",")
            yield Edit(inside, inside, more.lstrip(",") if comma else more)
        elif len(function.signature.inputs) > 1 and not isinstance(value, ast.Constant):
            start = module.start(value)
            yield Edit(start, start, "(*")
            yield Edit(end, end, f"{more})")
        else:
            yield Edit(end, end, more)


def _own_returns(method: ast.FunctionDef) -> Iterator[ast.Return]:
    waiting: list[ast.AST] = list(method.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))


def _without_init(module: Module, function: OldFunction) -> Iterator[Edit]:
    init = function.init
    assert init is not None
    body = function.node.body
    index = body.index(init)
    if index + 1 < len(body):
        start = line_start(module.text, module.start(init))
        following = module.start(body[index + 1])
        end = line_start(module.text, following)
        between = module.text[module.end(init) : end]
        comment = between.find("#")
        if comment >= 0:  # a comment above the next method stays
            at = module.end(init) + comment
            end = line_start(module.text, at)
        yield Edit(start, end, "")
    else:
        yield Edit(module.end(body[index - 1]) if index else module.start(init), module.end(init), "")


RULES = entries(__file__, rewrites(globals()))
