"""Statements of Python 2 in the files that are to be ported, which Python cannot parse with them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.edits import Edit, Revision, newline_of
from dcnbuild.port.python.module import Module, dotted
from dcnbuild.port.result import Change

_STATEMENTS = [(re.compile(old), new) for old, new in beside(__file__, "statements.yaml")]


def as_python3(text: str) -> tuple[str, tuple[Change, ...]]:
    """A text in which those stand as of today, and the changes; the text itself where that is not all it takes."""
    newline = newline_of(text)
    lines = text.split(newline)
    changes: list[Change] = []
    while len(changes) <= len(lines):
        try:
            module = Module(newline.join(lines))
        except SyntaxError as error:
            number = error.lineno or 0
            line = lines[number - 1] if 0 < number <= len(lines) else ""
            new = next((new for old, form in _STATEMENTS if (new := old.sub(form, line, count=1)) != line), "")
            if not new:
                break
            changes.append(Change("python-2", number, line.strip(), new.strip()))
            lines[number - 1] = new
        else:
            revision = Revision(module.text)
            for edit, number in revision.apply(_prints_to_a_file(module)):
                changes.append(Change("python-2", number, module.text[edit.start : edit.end], edit.new))
            return revision.text, tuple(changes)
    return text, ()


def _prints_to_a_file(module: Module) -> Iterator[Edit]:
    """`print >>f, x`, which Python 3 parses, and runs into a TypeError."""
    for node in module.of(ast.Expr) if ">>" in module.text else ():
        first, *rest = node.value.elts if isinstance(node.value, ast.Tuple) else (node.value,)
        if isinstance(first, ast.BinOp) and isinstance(first.op, ast.RShift) and dotted(first.left) == "print":
            end = ["end=' '"] if rest and module.source(node).rstrip().endswith(",") else []
            given = [*map(module.source, rest), *end, f"file={module.source(first.right)}"]
            yield module.edit(node, f"print({', '.join(given)})")
