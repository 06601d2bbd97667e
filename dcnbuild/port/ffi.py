"""Reads the build scripts of torch.utils.ffi: what their calls of create_extension ask for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from dcnbuild.port.build_flags import macros
from dcnbuild.port.python.module import Module, Modules, dotted

_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True)
class Extension:
    """What a call of create_extension in a build script asks for; files are relative to its directory, directories
    to the project's.

    `optional` says that its CUDA part is left out where there is no CUDA.
    """

    script: PurePosixPath
    name: str
    headers: tuple[str, ...]
    sources: tuple[str, ...]
    objects: tuple[str, ...]
    macros: tuple[tuple[str, str | None], ...]
    libraries: tuple[str, ...] = ()
    library_dirs: tuple[str, ...] = ()
    include_dirs: tuple[str, ...] = ()
    optional: bool = False


def extensions(python: Modules) -> Iterator[Extension]:
    """The extensions that build scripts make with torch.utils.ffi."""
    for path, module in python.holding("torch.utils.ffi"):
        for node in module.of(ast.Call):
            if dotted(node.func).endswith("create_extension"):
                given = {k.arg: _strings(module, k.value) for k in node.keywords if k.arg}
                names = _strings(module, node.args[0]) if node.args else given.get("name", ())
                if names and _DOTTED.fullmatch(names[0]):
                    yield Extension(
                        path,
                        names[0],
                        given.get("headers", ()),
                        given.get("sources", ()),
                        given.get("extra_objects", ()),
                        tuple(macros(module.nodes)),
                        given.get("libraries", ()),
                        _folders(path.parent, given.get("library_dirs", ())),
                        _folders(path.parent, given.get("include_dirs", ())),
                        "is_available" in module.text,
                    )


def _folders(folder: PurePosixPath, names: tuple[str, ...]) -> tuple[str, ...]:
    """Directories, but for those that the environment names."""
    return tuple(str(folder / name) for name in names if "$" not in name and not name.isupper())


def _strings(module: Module, node: ast.AST, seen: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The texts in an expression, those of the variables in it too, whatever is put in front of them."""
    found: list[str] = []
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value:
            found.append(part.value)
        elif isinstance(part, ast.Name) and part.id not in seen:
            for value in _values(module, part.id):
                found += _strings(module, value, seen | {part.id})
    return tuple(dict.fromkeys(found))


def _values(module: Module, name: str) -> Iterator[ast.AST]:
    """What a variable is set to, and what is added to it."""
    for node in module.nodes:
        targets = getattr(node, "targets", []) or [getattr(node, "target", node)]
        if isinstance(node, (ast.Assign, ast.AugAssign)) and name in map(dotted, targets):
            yield node.value
        elif isinstance(node, ast.Call) and dotted(node.func) in (f"{name}.append", f"{name}.extend"):
            yield from node.args


def loads(module: Module) -> Iterator[tuple[ast.ImportFrom, str, str]]:
    """What a file that torch.utils.ffi wrote loads: `from ._name import lib as _lib, ffi as _ffi`, with both names."""
    for node in module.of(ast.ImportFrom):
        names = {alias.name: alias.asname or alias.name for alias in node.names}
        if node.level == 1 and node.module and set(names) == {"lib", "ffi"}:
            yield node, names["lib"], names["ffi"]


def ported_source(path: PurePosixPath) -> PurePosixPath:
    """What glue in C is called once it is C++; X.cpp would share its object file with an X.cu."""
    return path.with_name(f"{path.stem}_glue.cpp")
