"""Reads the names of a release from its files, for all tables of Python names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from tools.knowledge.lifetimes import Found, Release, Row
from tools.knowledge.python_names import Module, public, read


def module_name(path: str) -> str:
    """numpy/linalg/__init__.py → numpy.linalg; "" for a file that is not a Python source or stub."""
    match = re.fullmatch(r"(\w+(?:/\w+)*?)(?:/__init__)?\.pyi?", path)
    return match[1].replace("/", ".") if match else ""


def modules_of(texts: Iterable[tuple[str, str]]) -> dict[str, Module]:
    """Returns the modules of (path, source) pairs; a module with a stub has the names of both."""
    found: dict[str, Module] = {}
    for path, text in texts:
        name = module_name(path)
        module = read(text, name, "/__init__." in path) if name else None
        if module is None:
            continue
        known = found.get(name)
        found[name] = module if known is None else _both(known, module)
    return found


def _both(one: Module, other: Module) -> Module:
    return Module(
        names={**one.names, **other.names},
        members={
            owner: {**one.members.get(owner, {}), **other.members.get(owner, {})}
            for owner in {**one.members, **other.members}
        },
        imported=[*one.imported, *other.imported],
        starred=[*one.starred, *other.starred],
        exported=one.exported or other.exported,
    )


def add(release: Release, name: str, kind: str, component: str) -> None:
    """Adds a dotted name."""
    scope, _, key = name.rpartition(".")
    release.add(scope, key, Found(kind, "", component))


def add_names(
    release: Release,
    modules: Mapping[str, Module],
    component: str,
    with_names: Callable[[str], object],
    with_members: Callable[[str], object],
) -> None:
    """Adds the names of modules, and the members of their classes.

    Args:
        release: the names are added to this release.
        modules: all modules of the package, so that re-exports can be followed.
        component: the wheel that they were read from.
        with_names: whether to list the names of the module of this name.
        with_members: whether to list the members of the classes of the module of this name.
    """
    for name, module in modules.items():
        if not with_names(name):
            continue
        private = any(part.startswith("_") for part in name.split("."))
        for key, kind in (module.names if private else public(modules, name)).items():
            if not key.startswith("__"):
                add(release, f"{name}.{key}", kind, component)
        for owner, members in module.members.items():
            if owner.startswith("_") or not with_members(name):
                continue
            for key in members:
                if not key.startswith("_"):
                    add(release, f"{name}.{owner}.{key}", "member", component)


def is_public_row(row: Row) -> bool:
    """Whether a row belongs in a table of public names. Modules do, since they were chosen before."""
    return row.kind == "module" or not row.key.startswith("_")
