"""Scripts that build into the cache of a copied package, and their outputs."""

from __future__ import annotations

import subprocess
from pathlib import Path

#: Builds the tiny library and prints its path and what it answers.
BUILD = """
import ctypes, os
from pathlib import Path
from dcnbuild.builder import jit, lookup
from dcnbuild.machine.facts import TorchInstall
import dcnbuild
root = Path(dcnbuild.__file__).parent.parent / "torch"
torch = TorchInstall(root, os.environ.get("TORCH", "2.14.1"), None, True)
entry = jit.build_cached("cpu", torch, os.environ)
print(entry.path, ctypes.CDLL(str(entry.path)).answer())
"""


#: Only looks.
FIND = BUILD.replace("jit.build_cached", "lookup.find_cached").replace(
    "print(entry.path, ", "print(entry if isinstance(entry, str) else entry.path, "
)


def built(process: subprocess.CompletedProcess[str]) -> Path:
    """The library that a process got, which must work."""
    assert process.returncode == 0, process.stderr
    path, answer = process.stdout.split()
    assert answer == "42"
    return Path(path)
