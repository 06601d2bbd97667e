"""The directories that PATH, LD_LIBRARY_PATH, CPATH and the like name, one by one."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from dcnbuild.environment import files
from dcnbuild.environment.facts import PathEntry
from dcnbuild.environment.toolkits import headers_version

#: Variables that list directories, with what is looked for in them.
VARIABLES = (
    "PATH",
    "LD_LIBRARY_PATH",
    "LIBRARY_PATH",
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
)
#: How alike a misspelt name and the name that was meant are. "lcoal" and "local" have 0.8.
_ALIKE = 0.75


def find_path_entries(env: Mapping[str, str]) -> list[PathEntry]:
    """Every entry of `VARIABLES` in its order, empty ones left out."""
    return [
        _read_entry(variable, text)
        for variable in VARIABLES
        for text in env.get(variable, "").split(os.pathsep)
        if text
    ]


def _read_entry(variable: str, text: str) -> PathEntry:
    exists = _exists(text)
    return PathEntry(
        variable=variable,
        text=text,
        exists=exists,
        meant=meant_directory(text) if exists is False else None,
        cuda=_cuda_version(Path(text)) if exists else None,
    )


def _exists(text: str) -> bool | None:
    try:
        os.stat(text)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):  # no right to look there, or no possible path
        return None
    return os.path.isdir(text)


def meant_directory(text: str) -> Path | None:
    """The existing directory that a wrong entry was probably meant to be; None if nothing is near.

    Mends quotes and blanks around the entry, a `~` that no shell has expanded, lib against lib64,
    and misspelt names; a name that differs in a digit is another version, not a misspelling.
    """
    cleaned = os.path.expanduser(text.strip(" \t\"'")).rstrip(" \t\"'")
    if not cleaned.startswith(os.sep) or "\0" in cleaned:
        return None
    found = Path(os.sep)
    for name in [part for part in cleaned.split(os.sep) if part]:
        if files.is_dir(found / name):
            found = found / name
            continue
        siblings = [child.name for child in files.children(found) if files.is_dir(child)]
        near = _nearest(name, siblings)
        if near is None:
            return None
        found = found / near
    return found if str(found) != text else None


def _nearest(name: str, candidates: list[str]) -> str | None:
    if name in ("lib", "lib64"):
        other = "lib" if name == "lib64" else "lib64"
        if other in candidates:
            return other
    digits = re.findall(r"\d+", name)
    same = [candidate for candidate in candidates if re.findall(r"\d+", candidate) == digits]
    if len(name) < 3:
        return None
    return next(iter(difflib.get_close_matches(name, same, n=1, cutoff=_ALIKE)), None)


def _cuda_version(directory: Path) -> str | None:
    """The version of the CUDA toolkit that a directory belongs to, by what lies in it."""
    real = files.resolve(directory)
    for library in files.children(real, "libcudart.so.*"):
        match = re.search(r"\.so\.(\d+\.\d+)\.", files.resolve(library).name)
        if match:
            return match[1]
    version = headers_version([real])
    if version is None and (files.is_file(real / "nvcc") or files.children(real, "libcudart.so*")):
        # bin, lib64 or targets/x86_64-linux/lib of a toolkit
        version = headers_version([real.parent / "include"])
    if version is None:
        match = re.search(r"/cuda-(\d+\.\d+)(?:/|$)", str(real))
        version = match[1] if match else None
    return version
