"""Checks that a library can be shipped in a wheel for many torches and systems."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from dcnbuild.audit.bounds import bounds
from dcnbuild.audit.read import read_package

#: The largest size of a wheel with all architectures, in megabytes.
LARGEST = 12


def wheel_problems(wheel: Path, expected: Iterable[str]) -> list[str]:
    """Returns the reasons not to ship a wheel, one sentence each, with those of its libraries.

    Args:
        wheel: the file.
        expected: the names of the libraries that it shall hold.
    """
    with tempfile.TemporaryDirectory() as directory:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(directory)
        libraries = sorted(Path(directory).rglob("*.so"), key=lambda path: path.name)
        found = [problem for library in libraries for problem in problems(library)]
    names, wanted = [path.name for path in libraries], sorted(expected)
    if names != wanted:
        found.append(f"the wheel holds {', '.join(names)}, expected {', '.join(wanted)}")
    megabytes = wheel.stat().st_size / 1e6
    if megabytes > LARGEST:
        found.append(f"the wheel has {megabytes:.1f} MB, expected at most {LARGEST}")
    return found


def problems(library: Path) -> list[str]:
    """Returns the reasons not to ship it, one sentence each; [] if it can be shipped."""
    bound = bounds(read_package(str(library), None, {}))
    system, torch, python = bound.system, bound.torch, bound.python
    found = [f"{library.name} needs {name}, which is not everywhere" for name in system.outside]
    found += [f"{library.name} has the run path {text.rpartition(': ')[2]}" for text in system.run_paths]
    found += [f"{library.name} uses {name}, which is not in torch's stable ABI" for name in torch.cxx_names]
    if python.abi != "none":
        found.append(f"{library.name} uses {python.names[0]}, which ties it to Python")
    if system.executable_stack:
        found.append(f"{library.name} asks for an executable stack")
    return found
