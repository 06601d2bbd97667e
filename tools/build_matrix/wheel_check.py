"""Checks that a library can be shipped in a wheel for many torches and systems."""

from __future__ import annotations

import re
from pathlib import Path

from dcnbuild.machine.elf import needed_libraries, run_paths
from dcnbuild.machine.symbols import undefined_symbols

#: Libraries that it may need: torch's, which are loaded before, and those that PEP 600 expects on every system.
ALLOWED = re.compile(
    r"lib(torch_cpu|torch_cuda|c10_cuda)\.so|lib(c|m|dl|rt|pthread)\.so\.\d+|libstdc\+\+\.so\.6|libgcc_s\.so\.1"
    r"|ld-linux-[\w-]+\.so\.\d+"
)
#: torch's C++ names (c10, at, caffe2, torch in mangled form) change with every release; its C shims do not.
_TORCH_CXX = re.compile(r"_Z\w*?(?:3c10|2at|5torch|6caffe2)")
_PYTHON = re.compile(r"_?Py[A-Z_]")


def problems(library: Path) -> list[str]:
    """Returns the reasons not to ship it, one sentence each; [] if it can be shipped."""
    found = [
        f"{library.name} needs {name}, which is not everywhere"
        for name in needed_libraries(library)
        if not ALLOWED.fullmatch(name)
    ]
    found += [f"{library.name} has the run path {path}" for path in run_paths(library)]
    for name in undefined_symbols(library):
        if _TORCH_CXX.match(name):
            found.append(f"{library.name} uses {name}, which is not in torch's stable ABI")
        elif _PYTHON.match(name):
            found.append(f"{library.name} uses {name}, which ties it to Python")
    return found
