"""Reading files and running programs as every probe does: never raising, never hanging."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

#: Longer than any program asked here takes; a hanging one costs no more than this.
TIMEOUT_SECONDS = 2.0


def read_text(path: Path, limit: int = 1 << 20) -> str | None:
    """The first `limit` bytes of a file as text, or None if it cannot be read or is no file."""
    try:
        if not path.is_file():  # opening a pipe would wait for somebody to write
            return None
        with path.open("rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except (OSError, ValueError):  # ValueError: a NUL byte in the path
        return None


def is_file(path: Path) -> bool:
    """Whether this is a file, also where asking is refused or the path is no possible path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_dir(path: Path) -> bool:
    """Whether this is a directory, also where asking is refused or the path is no possible path."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def mounted_noexec(path: Path) -> bool:
    """Whether the file system of a file or directory forbids to execute and to load what is on it."""
    try:
        return bool(os.statvfs(path).f_flag & getattr(os, "ST_NOEXEC", 0))
    except (OSError, ValueError):
        return False


def resolve(path: Path) -> Path:
    """The path with symlinks followed as far as that is possible."""
    try:
        return path.resolve()
    except (
        OSError,
        ValueError,
        RuntimeError,
    ):  # RuntimeError: a loop of symlinks, before Python 3.13
        return path


def children(directory: Path, pattern: str = "*") -> list[Path]:
    """What a directory holds that matches the pattern, sorted; nothing where it cannot be read."""
    try:
        return sorted(directory.glob(pattern))
    except (OSError, ValueError):
        return []


def existing(directories: Iterable[Path]) -> tuple[Path, ...]:
    """Those that are directories, each once under its first name, whatever links lead to it."""
    seen: dict[Path, Path] = {}
    for directory in directories:
        if is_dir(directory):
            seen.setdefault(resolve(directory), directory)
    return tuple(seen.values())


def split_paths(text: str) -> list[Path]:
    """The directories of a variable like LD_LIBRARY_PATH, without empty entries."""
    return [Path(entry) for entry in text.split(os.pathsep) if entry]


def search_path(env: Mapping[str, str]) -> list[Path]:
    """The directories of PATH, and the system's default where PATH is not set at all.

    Without "", "." and whatever else depends on the directory that a command happens to run in: a tree that somebody
    unpacked there must not choose the programs.
    """
    return [path for path in split_paths(env.get("PATH", os.defpath)) if path.is_absolute()]


def of_search_path(env: Mapping[str, str]) -> dict[str, str]:
    """The variables for a program of ours, whose own helpers are not taken from the current directory either."""
    # an empty PATH means the current directory, so it has one entry that is no directory
    return {**env, "PATH": os.pathsep.join(map(str, search_path(env))) or os.devnull}


def on_path(env: Mapping[str, str], name: str) -> Iterator[Path]:
    """Every executable file of this name on PATH, in its order."""
    for directory in search_path(env):
        path = directory / name
        if is_file(path) and os.access(path, os.X_OK):
            yield path


def run(
    command: Sequence[str | os.PathLike[str]],
    env: Mapping[str, str],
    timeout: float = TIMEOUT_SECONDS,
    failing_too: bool = False,
) -> str | None:
    """What a program prints, in English; None if it cannot be run, takes too long or fails.

    With `failing_too`, what it prints counts also where its exit status is not 0, and its complaints count too.
    """
    try:
        done = subprocess.run(
            command,
            env={**of_search_path(env), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # the loader's complaints, e.g. of LD_PRELOAD, are no part of what a program says of itself
            stderr=subprocess.STDOUT if failing_too else subprocess.DEVNULL,
            timeout=timeout,
            check=not failing_too,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")
