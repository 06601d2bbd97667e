"""Reads the entries of PATH, LD_LIBRARY_PATH, CPATH and similar variables, one by one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from dcnbuild.machine import files
from dcnbuild.machine.facts import PathEntry
from dcnbuild.machine.near import meant_directory
from dcnbuild.machine.toolkit_files import headers_version
from dcnbuild.machine.toolkits import held_headers

#: Variables that list directories: those of headers, and all.
INCLUDE_VARIABLES = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH")
VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LIBRARY_PATH", *INCLUDE_VARIABLES)
#: Lists libraries, which are files, separated by colons or blanks (ld.so(8)).
PRELOAD = "LD_PRELOAD"


def find_path_entries(env: Mapping[str, str]) -> list[PathEntry]:
    """Returns every entry of `VARIABLES` in order, without empty ones, then the libraries of LD_PRELOAD."""
    entries = [
        _read_entry(variable, text)
        for variable in VARIABLES
        for text in env.get(variable, "").split(os.pathsep)
        if text
    ]
    preloaded = re.split(r"[:\s]+", env.get(PRELOAD, ""))
    return [*entries, *(PathEntry(PRELOAD, text, _is_there(text)) for text in preloaded if text)]


def _is_there(library: str) -> bool | None:
    """Whether a library given with its directory exists; None if the loader searches for it, or the entry has $LIB."""
    if "/" not in library or "$" in library:
        return None
    return files.is_file(Path(library))


def _read_entry(variable: str, text: str) -> PathEntry:
    exists = _exists(text)
    return PathEntry(
        variable=variable,
        text=text,
        exists=exists,
        meant=meant_directory(text) if exists is False else None,
        cuda=_cuda_version(Path(text)) if exists else None,
        has_nvjitlink=bool(exists and files.children(Path(text), "libnvJitLink.so*")),
        headers=held_headers(Path(text)) if exists and variable in INCLUDE_VARIABLES else (),
    )


def _exists(text: str) -> bool | None:
    try:
        os.stat(text)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):  # permission is denied, or the path is impossible
        return None
    return os.path.isdir(text)


def _cuda_version(directory: Path) -> str | None:
    """Returns the version of the CUDA toolkit that a directory belongs to, from its files."""
    real = files.resolve(directory)
    for library in files.children(real, "libcudart.so.*"):
        match = re.search(r"\.so\.(\d+\.\d+)\.", files.resolve(library).name)
        if match:
            return match[1]
    version = headers_version([real])
    if version is None and (files.is_file(real / "nvcc") or files.children(real, "libcudart.so*")):
        # the directory may be bin, lib64 or targets/x86_64-linux/lib of a toolkit
        version = headers_version([real.parent / "include"])
    if version is None:
        match = re.search(r"/cuda-(\d+\.\d+)(?:/|$)", str(real))
        version = match[1] if match else None
    return version
