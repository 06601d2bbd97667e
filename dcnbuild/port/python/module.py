"""One Python file: its text, its syntax tree, and where a node stands in the text."""

from __future__ import annotations

import ast
import bisect
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import PurePosixPath
from typing import TypeVar

from dcnbuild.port.edits import Edit, line_start

_Node = TypeVar("_Node", bound=ast.AST)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")


class Module:
    """A parsed file. Raises SyntaxError for what this Python cannot parse, Python 2 among it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._columns: dict[int, list[int]] = {}  # where each sign of a line begins, in bytes
        self._skipped = 1 if text.startswith("\ufeff") else 0  # the parser wants no byte order mark
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in their strings, say
            try:
                self.tree = ast.parse(text[self._skipped :])
            except (ValueError, RecursionError, MemoryError) as error:
                raise SyntaxError(str(error)) from error

    @cached_property
    def _lines(self) -> list[tuple[int, str]]:
        """Each line with the offset it starts at."""
        return [(match.start(), match[0]) for match in _LINE.finditer(self.text, self._skipped)]

    def offset(self, line: int, column: int) -> int:
        """The offset in the text of a line (from 1) and a column in UTF-8 bytes, as ast counts."""
        start, text = self._lines[line - 1]
        if line not in self._columns:
            widths = [len(sign.encode(errors="replace")) for sign in text]
            self._columns[line] = [] if text.isascii() else [0, *accumulate(widths)]
        columns = self._columns[line]
        return start + (bisect.bisect_left(columns, column) if columns else column)

    def start(self, node: ast.AST) -> int:
        """Where a node begins; a decorated function or class at its first decorator."""
        for first in getattr(node, "decorator_list", [])[:1]:
            return self.text.rindex("@", 0, self.offset(first.lineno, first.col_offset))
        return self.offset(node.lineno, node.col_offset)  # type: ignore[attr-defined]

    def end(self, node: ast.AST) -> int:
        """Where a node ends."""
        return self.offset(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def source(self, node: ast.AST) -> str:
        """A node as it is written."""
        return self.text[self.start(node) : self.end(node)]

    def edit(self, node: ast.AST, new: str) -> Edit:
        """The edit that writes something else for a node."""
        return Edit(self.start(node), self.end(node), new)

    def of(self, kind: type[_Node]) -> Iterator[_Node]:
        """All nodes of a kind, outer ones first."""
        return (node for node in self.nodes if isinstance(node, kind))

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the tree, outer ones first."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """Each node's parent."""
        return {child: parent for parent in self.nodes for child in ast.iter_child_nodes(parent)}

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """A node's parent, its parent, and so on."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """The statements among which this one stands."""
        parent = self.parents[statement]
        blocks = (getattr(parent, name, None) for name in ("body", "orelse", "finalbody"))
        return next(block for block in blocks if isinstance(block, list) and statement in block)

    def whole_lines(self, node: ast.stmt) -> tuple[int, int] | None:
        """The span of the lines of a statement, if they hold nothing else; a comment may follow."""
        start, end = self.start(node), self.end(node)
        begin = line_start(self.text, start)
        stop = _LINE.match(self.text, end).end()  # type: ignore[union-attr]
        alone = not self.text[begin:start].strip(" \t\f\ufeff")
        return (begin, stop) if alone and self.text[end:stop].strip()[:1] in ("", "#") else None


class Modules:
    """The Python files of a project, each parsed when it is first asked for.

    Args:
        texts: path → text.
    """

    def __init__(self, texts: Mapping[PurePosixPath, str]) -> None:
        self.texts = texts
        self._parsed: dict[PurePosixPath, Module | SyntaxError] = {}

    def __getitem__(self, path: PurePosixPath) -> Module | SyntaxError:
        """A file, or why it cannot be parsed."""
        if path not in self._parsed:
            try:
                self._parsed[path] = Module(self.texts[path])
            except SyntaxError as error:
                self._parsed[path] = error
        return self._parsed[path]

    def holding(self, word: str) -> Iterator[tuple[PurePosixPath, Module]]:
        """The files that have a word in their text and that can be parsed; the others need not be."""
        for path, text in self.texts.items():
            module = self[path] if word in text else None
            if isinstance(module, Module):
                yield path, module


def dotted(node: ast.AST) -> str:
    """`torch.cuda.is_available` for such a name; "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def imported(node: ast.AST) -> list[str]:
    """The modules that a statement imports, or imports from."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


@dataclass(frozen=True)
class Signature:
    """How an old-style Function is made: its settings with their defaults, and its inputs."""

    settings: tuple[str, ...]
    defaults: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    variadic: bool = False


@dataclass(frozen=True)
class PythonScope:
    """What a Python file needs to know of its project.

    Attributes:
        functions: autograd Functions that are being ported: name → signature.
        new_standard: whether the project includes headers of torch that refuse C++17.
        ffi: whether it builds with torch.utils.ffi.
    """

    functions: Mapping[str, Signature] = field(default_factory=dict)
    new_standard: bool = True
    ffi: bool = False
