"""Runs the package managers' own programs, and keeps their output for errors."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from dcnbuild.errors import Finding, FindingError
from dcnbuild.machine import files


def run(command: Sequence[str | Path], cwd: Path, env: Mapping[str, str], what: str) -> str:
    """Runs a program to its end and returns its output.

    Args:
        command: the program and its arguments.
        cwd: its working directory.
        env: its environment variables.
        what: its purpose, for the error: "downloading CUDA 12.4".

        Raises FindingError with the last lines of its output if it fails or does not exist.
    """
    try:
        done = subprocess.run(
            [program(str(command[0]), env), *map(str, command[1:])],
            cwd=cwd,
            env={**files.of_search_path(env), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise failed(what, f"{command[0]} cannot be run: {error.strerror}") from error
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        lines = [line for line in output.splitlines() if line.strip()]
        telling = [line for line in lines if line.startswith(("E:", "ERROR:"))]
        cause = (telling or lines or ["it said nothing"])[-1].strip()
        raise failed(what, f"{Path(command[0]).name}: {cause}", tuple(lines[-4:]))
    return output


def program(name: str, env: Mapping[str, str]) -> str:
    """Returns the program's path from PATH, and, as everywhere in dcnbuild, never from the current directory.

    Raises FileNotFoundError if there is none.
    """
    found = name if "/" in name else next(files.on_path(env, name), None)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "it is not on PATH", name)
    return os.fspath(found)


def failed(what: str, cause: str, evidence: tuple[str, ...] = (), fix: tuple[str, ...] = ()) -> FindingError:
    """Returns the error of a toolkit that could not be installed."""
    return FindingError(
        Finding(
            id="toolkit-install-failed",
            severity="error",
            title=f"{what} failed",
            cause=cause,
            evidence=evidence,
            fix=fix,
        )
    )
