"""Finds an interpreter by its version."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from hang import HANG

from dcnbuild.machine import files

_ASK = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"


def find_python(version: str, env: Mapping[str, str]) -> Path | None:
    """An interpreter of this version ("3.12") that can make virtual environments; None if there is none.

    Looked at: the one that runs this, PATH, and what pyenv and uv have installed.
    """
    for path in _candidates(version, env):
        said = files.run([os.fspath(path), "-I", "-c", _ASK], env, timeout=HANG)
        if said is not None and said.split()[-1:] == [version]:
            return path
    return None


def _candidates(version: str, env: Mapping[str, str]) -> Iterator[Path]:
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        # of the environment that runs this, the interpreter below it
        yield Path(sys.base_prefix, "bin", f"python{version}")
    yield from files.on_path(env, f"python{version}")
    home = Path(env.get("HOME", "/"))
    pyenv = Path(env.get("PYENV_ROOT") or home / ".pyenv")
    for directory in (
        *reversed(files.children(pyenv / "versions", f"{version}.*")),
        *reversed(files.children(home / ".local/share/uv/python", f"cpython-{version}.*")),
    ):
        yield directory / "bin" / f"python{version}"
