"""Reads the build scripts of torch.utils.ffi: what their calls of create_extension ask for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import chain, product
from pathlib import PurePosixPath

from dcnbuild.port.build_flags import macros
from dcnbuild.port.python.module import Module, Modules, dotted

_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_NONE: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True)
class Extension:
    """What a call of create_extension in a build script asks for; files are relative to its directory, directories
    to the project's.

    `optional` says that its CUDA part is left out where there is no CUDA.
    """

    script: PurePosixPath
    name: str
    macros: tuple[tuple[str, str | None], ...]
    optional: bool
    headers: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    extra_objects: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    library_dirs: tuple[str, ...] = ()
    include_dirs: tuple[str, ...] = ()
    extra_compile_args: tuple[str, ...] = ()
    extra_link_args: tuple[str, ...] = ()


_GIVEN = frozenset(field.name for field in fields(Extension)[4:])


def extensions(python: Modules) -> Iterator[Extension]:
    """The extensions that build scripts make with torch.utils.ffi."""
    for path, module in python.holding("torch.utils.ffi"):
        for node in module.of(ast.Call):
            if dotted(node.func).endswith("create_extension"):
                asked = {k.arg: _strings(module, k.value) for k in node.keywords if k.arg}
                names = _strings(module, node.args[0]) if node.args else asked.get("name", ())
                if names and _DOTTED.fullmatch(names[0]):
                    given = {name: values for name, values in asked.items() if name in _GIVEN}
                    for name in ("library_dirs", "include_dirs"):  # but for those that the environment names
                        known = (d for d in given.get(name, ()) if "$" not in d and not d.split("/")[0].isupper())
                        given[name] = tuple(str(path.parent / folder) for folder in known)
                    yield Extension(path, names[0], tuple(macros(module.nodes)), "is_available" in module.text, **given)


def _strings(module: Module, node: ast.AST, known: Mapping[str, tuple[str, ...]] = _NONE) -> tuple[str, ...]:
    """The texts in an expression, those of the variables in it too, and paths without what is not known of them."""
    if isinstance(node, ast.Constant):
        return (node.value,) if isinstance(node.value, str) and node.value else ()
    if isinstance(node, ast.Name):
        values = _values(module, node.id) if node.id not in known else ()
        found = [_strings(module, value, {**known, node.id: ()}) for value in values]
        return known.get(node.id) or tuple(dict.fromkeys(chain(*found)))
    if isinstance(node, ast.ListComp | ast.GeneratorExp):
        return _strings(
            module, node.elt, {**known, **{dotted(g.target): _strings(module, g.iter, known) for g in node.generators}}
        )
    joined = node.args if isinstance(node, ast.Call) and dotted(node.func).endswith("join") else []
    found = [_strings(module, part, known) for part in joined or ast.iter_child_nodes(node)]
    if not joined and not _is_text(node) or not found[-1]:
        return tuple(dict.fromkeys(chain(*found)))
    texts = (("/" if joined else "").join(parts) for parts in product(*filter(None, found)))
    return tuple(text if found[0] else text.lstrip("/") for text in texts)


def _is_text(node: ast.AST) -> bool:
    """Whether an expression is known to be one text."""
    parts = (node.left, node.right) if isinstance(node, ast.BinOp) else ()
    return isinstance(node, ast.JoinedStr | ast.Constant) or any(map(_is_text, parts))


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
