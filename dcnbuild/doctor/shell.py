"""Lines that can be pasted: for the shell, the package manager and the Python in use."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from dcnbuild.environment.facts import Facts

#: What the package managers call the packages that fixes install; {} is a version.
_PACKAGES = {
    "apt-get": {"g++": "g++{}", "python-dev": "python{}-dev", "driver": "nvidia-driver"},
    "dnf": {"g++": "gcc-c++", "python-dev": "python{}-devel"},
    "yum": {"g++": "gcc-c++", "python-dev": "python{}-devel"},
    "zypper": {"g++": "gcc{}-c++", "python-dev": "python3-devel"},
    "pacman": {"g++": "gcc", "python-dev": "python"},
    "apk": {"g++": "g++", "python-dev": "python3-dev"},
}
_INSTALL = {"pacman": "pacman -S", "apk": "apk add"}


def _shell(facts: Facts) -> str:
    return os.path.basename(facts.variables.get("SHELL", "sh"))


def set_variable(facts: Facts, name: str, value: str | Path) -> str:
    """The line that sets a variable, e.g. `export CUDA_HOME=/usr/local/cuda-13.0`."""
    quoted = shlex.quote(str(value))
    if _shell(facts) == "fish":
        return f"set -gx {name} {quoted}"
    if _shell(facts) in ("csh", "tcsh"):
        return f"setenv {name} {quoted}"
    return f"export {name}={quoted}"


def unset_variable(facts: Facts, name: str) -> str:
    """The line that unsets a variable."""
    if _shell(facts) == "fish":
        return f"set -e {name}"
    return f"unsetenv {name}" if _shell(facts) in ("csh", "tcsh") else f"unset {name}"


def prepend(facts: Facts, name: str, directories: Iterable[Path]) -> str:
    """The line that puts directories before what a variable like PATH or CPATH lists already."""
    listed = [entry.text for entry in facts.paths if entry.variable == name]
    return set_variable(facts, name, ":".join([*map(str, directories), *listed]))


def without(facts: Facts, name: str, entry: str, instead: Path | None = None) -> str:
    """The line that takes an entry out of a variable like PATH, or puts another in its place."""
    texts = [other.text for other in facts.paths if other.variable == name]
    if instead is None:
        kept = [text for text in texts if text != entry]
    else:
        kept = [str(instead) if text == entry else text for text in texts]
    kept = list(dict.fromkeys(kept))
    return set_variable(facts, name, ":".join(kept)) if kept else unset_variable(facts, name)


def pip(facts: Facts, arguments: str) -> str:
    """A pip line for the Python that the facts are about, whatever `pip` on PATH belongs to."""
    python = facts.python
    active = python.on_path is not None and python.on_path.parent == python.executable.parent
    program = "python" if active else shlex.quote(str(python.executable))
    return f"{program} -m pip {arguments}"


def install(facts: Facts, package: str, version: str = "") -> tuple[str, ...]:
    """The line that installs a system package; () where the package manager is not known."""
    manager = facts.machine.package_manager or ""
    name = _PACKAGES.get(manager, {}).get(package)
    if name is None:
        return ()
    sudo = "" if facts.machine.root else "sudo "
    return (f"{sudo}{_INSTALL.get(manager, f'{manager} install')} {name.format(version)}",)
