"""Checks that a library can be shipped in a wheel for many torches and systems."""

from __future__ import annotations

from pathlib import Path

from dcnbuild.audit.bounds import bounds
from dcnbuild.audit.read import read_package


def problems(library: Path) -> list[str]:
    """Returns the reasons not to ship it, one sentence each; [] if it can be shipped."""
    bound = bounds(read_package(str(library), None, {}))
    system, torch, python = bound.system, bound.torch, bound.python
    found = [f"{library.name} needs {name}, which is not everywhere" for name in system.outside]
    found += [
        f"{library.name} has the run path {text.rpartition(': ')[2]}" for text in system.run_paths
    ]
    found += [
        f"{library.name} uses {name}, which is not in torch's stable ABI"
        for name in torch.cxx_names
    ]
    if python.abi != "none":
        found.append(f"{library.name} uses {python.names[0]}, which ties it to Python")
    if system.executable_stack:
        found.append(f"{library.name} asks for an executable stack")
    return found
