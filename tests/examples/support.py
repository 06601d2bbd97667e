"""Runs the examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hang import HANG

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def environment() -> dict[str, str]:
    """Sets one thread, since many processes share the machine."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run_example(directory: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> str:
    """Runs an example as a user does, as a program of its own, and returns what it printed.

    `arguments` begin with its file name, `launcher` goes between Python and that.
    """
    command = [sys.executable, *launcher, str(EXAMPLES / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, cwd=directory, env=environment(), capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_here(main: Callable[[], None], directory: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Runs an example's main function with these arguments in a directory of its own."""
    monkeypatch.chdir(directory)
    monkeypatch.setattr(sys, "argv", [main.__module__, *arguments])
    main()


def record(path: Path) -> dict[str, Any]:
    """A record of an example, which must name a commit or say that it does not know it."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert found["commit"]
    return found
