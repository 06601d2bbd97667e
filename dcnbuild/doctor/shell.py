"""Lines that can be pasted: for the shell, the package manager and the Python in use."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from dcnbuild.compatibility import numbers
from dcnbuild.environment.facts import Facts

#: What the package managers call the packages that fixes install; {} is a version.
_PACKAGES = {
    "apt-get": {"g++": "g++{}", "python-dev": "python{}-dev"},
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
    line = set_variable(facts, name, ":".join(map(str, directories)))
    if not any(entry.variable == name for entry in facts.paths):
        return line
    return f"{line} ${name}" if _shell(facts) == "fish" else f'{line}:"${name}"'


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
    line = f"{_INSTALL.get(manager, f'{manager} install')} {name.format(version)}"
    return (as_root(facts, line),)


def as_root(facts: Facts, line: str) -> str:
    """The line as it has to be typed to run as root."""
    return line if facts.machine.root else f"sudo {line}"


def install_toolkit(facts: Facts, cuda: str) -> tuple[str, ...]:
    """The lines that install a toolkit of a version and make it the one in use.

    pip has the nvcc of CUDA 13, beside torch's own libraries; linking with it needs two links more
    (measured). Of older toolkits pip has no nvcc.
    """
    if numbers(cuda) >= (13,) and facts.torch is not None:
        home = facts.torch.root.parent / f"nvidia/cu{numbers(cuda)[0]}"
        return (
            pip(facts, f'install "cuda-toolkit[nvcc,cccl]=={cuda}.*"'),
            f"ln -sfn lib {home}/lib64",
            f"ln -sf libcudart.so.{numbers(cuda)[0]} {home}/lib/libcudart.so",
            set_variable(facts, "CUDA_HOME", home),
        )
    if facts.variables.get("CONDA_PREFIX"):
        return (
            f"conda install -c nvidia/label/cuda-{cuda}.0 cuda-toolkit",
            set_variable(facts, "CUDA_HOME", facts.variables["CONDA_PREFIX"]),
        )
    home = Path(f"/usr/local/cuda-{cuda}")
    if facts.machine.package_manager in ("apt-get", "dnf", "yum", "zypper"):
        package = f"cuda-toolkit-{cuda.replace('.', '-')}"
        line = f"{facts.machine.package_manager} install {package}"
        return (
            f"{as_root(facts, line)}  # from NVIDIA's package repository",
            set_variable(facts, "CUDA_HOME", home),
        )
    return ()
