"""What the tables of Python names share: from the files of a release to its names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from tools.knowledge.lifetimes import Found, Release, Row
from tools.knowledge.python_names import Module, public, read


def module_name(path: str) -> str:
    """numpy/linalg/__init__.py → numpy.linalg; "" for what is no Python source or stub."""
    match = re.fullmatch(r"(\w+(?:/\w+)*?)(?:/__init__)?\.pyi?", path)
    return match[1].replace("/", ".") if match else ""


def modules_of(texts: Iterable[tuple[str, str]]) -> dict[str, Module]:
    """The modules of (path, source) pairs; where a module has a stub as well, both count."""
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
    """Adds a name with dots."""
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
        release: what is added to.
        modules: all of the package, so that re-exports can be followed.
        component: what they were read from.
        with_names: which modules' names are listed, by the module's name.
        with_members: of which modules the classes' members are.
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
    """Whether a row belongs into a table of public names; modules do, since they were chosen before."""
    return row.kind == "module" or not row.key.startswith("_")
