"""Reads files and runs programs for the probes; never raises, and never hangs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

#: Longer than any of these programs takes; a hanging program is ended after this time.
TIMEOUT_SECONDS = 2.0


def read_text(path: Path, limit: int = 1 << 20) -> str | None:
    """Returns the first `limit` bytes of a file as text, or None if it cannot be read or is not a file."""
    try:
        if not path.is_file():  # opening a pipe would wait for a writer
            return None
        with path.open("rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except (OSError, ValueError):  # ValueError: the path has a NUL byte
        return None


def is_file(path: Path) -> bool:
    """Whether this is a file; False if permission is denied or the path is impossible."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_dir(path: Path) -> bool:
    """Whether this is a directory; False if permission is denied or the path is impossible."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def mounted_noexec(path: Path) -> bool:
    """Whether the file system of a file or directory forbids executing and loading files."""
    try:
        return bool(os.statvfs(path).f_flag & getattr(os, "ST_NOEXEC", 0))
    except (OSError, ValueError):
        return False


def resolve(path: Path) -> Path:
    """Returns the path with symlinks followed as far as possible."""
    try:
        return path.resolve()
    except (
        OSError,
        ValueError,
        RuntimeError,
    ):  # RuntimeError: a loop of symlinks, before Python 3.13
        return path


def children(directory: Path, pattern: str = "*") -> list[Path]:
    """Returns a directory's entries that match the pattern, sorted; [] if it cannot be read."""
    try:
        return sorted(directory.glob(pattern))
    except (OSError, ValueError):
        return []


def existing(directories: Iterable[Path]) -> tuple[Path, ...]:
    """Returns the paths that are directories, each once under its first name, even if several links lead to it."""
    seen: dict[Path, Path] = {}
    for directory in directories:
        if is_dir(directory):
            seen.setdefault(resolve(directory), directory)
    return tuple(seen.values())


def split_paths(text: str) -> list[Path]:
    """Returns the directories of a variable like LD_LIBRARY_PATH, without empty entries."""
    return [Path(entry) for entry in text.split(os.pathsep) if entry]


def search_path(env: Mapping[str, str]) -> list[Path]:
    """Returns the directories of PATH, or the system's default if PATH is not set.

    It leaves out "", "." and other relative entries: files that were unpacked into the current directory must not
    choose the programs that run.
    """
    return [path for path in split_paths(env.get("PATH", os.defpath)) if path.is_absolute()]


def of_search_path(env: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables for a program that we run, so that it takes no helpers from the current directory
    either.
    """
    # an empty PATH means the current directory, so it gets one entry that is not a directory
    return {**env, "PATH": os.pathsep.join(map(str, search_path(env))) or os.devnull}


def on_path(env: Mapping[str, str], name: str) -> Iterator[Path]:
    """Yields every executable file of this name on PATH, in its order."""
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
    """Returns a program's output, in English; None if it cannot run, takes too long or fails.

    With `failing_too`, returns its output for any exit status, including standard error.
    """
    try:
        done = subprocess.run(
            command,
            env={**of_search_path(env), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # leaves out the loader's messages, e.g. about LD_PRELOAD, which are not the program's output
            stderr=subprocess.STDOUT if failing_too else subprocess.DEVNULL,
            timeout=timeout,
            check=not failing_too,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")
