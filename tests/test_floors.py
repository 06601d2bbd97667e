"""Tests that packages import only from lower ones, and never in a circle (docs/architecture.md)."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from conftest import CHECKOUT

PACKAGE = CHECKOUT / "dcnbuild"
#: From the ground up. What shares a floor does not import each other.
FLOORS = (
    ("_version", "base"),
    ("errors",),
    ("machine", "knowledge"),
    ("doctor",),
    ("builder", "toolkit", "audit"),
    ("ops",),
    ("nn", "reference", "reference_pooling"),
    ("flops", "compat", "export"),
    ("__init__",),
    ("port", "demo"),
    ("cli",),
    ("__main__",),
)
#: The doctor names `dcnbuild port` only for what it has a rule for, and asks the rules when a log holds such a name.
STAIRS = {("dcnbuild.doctor.logs.lookups.source", "dcnbuild.port.rules")}
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, whole: bool) -> set[str]:
    """The modules of dcnbuild that a file imports: at its top, or anywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if whole else iter(tree.body)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                inner = PACKAGE.parent.joinpath(*node.module.split("."), alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                found.add(f"{node.module}.{alias.name}" if is_module else node.module)
    return {name for name in found if name.split(".")[0] == "dcnbuild"}


def room(module: str) -> str:
    """The part of the house: "dcnbuild.doctor.report" → "doctor"."""
    return [*module.split("."), "__init__"][1]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if "csrc" not in path.parts)


def test_every_room_has_a_floor() -> None:
    assert {room(module_name(path)) for path in FILES} == set(FLOOR_OF)


def test_no_import_goes_up() -> None:
    wrong = []
    for path in FILES:
        here = room(module_name(path))
        for name in imports(path, whole=True):
            there = room(name)
            if there == here or here == "__init__" or (module_name(path), name) in STAIRS:
                continue  # __init__ imports a module when one of its names is asked for
            if FLOOR_OF[there] >= FLOOR_OF[here]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []


def test_no_circle() -> None:
    """Reads only imports at the top of a file, because an import inside a function cannot close a circle."""
    graph = {module_name(path): imports(path, whole=False) for path in FILES}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(f"circle: {' → '.join(error.args[1])}") from None
