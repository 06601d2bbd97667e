"""Copies of the package that tests can build and break."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hang import HANG

import dcnbuild

PACKAGE = Path(dcnbuild.__file__).parent


@dataclass(frozen=True)
class Project:
    """A copy of the package with other sources, and a home of its own."""

    root: Path

    @property
    def csrc(self) -> Path:
        return self.root / "csrc"

    @property
    def torch(self) -> Path:
        return self.root / "torch"

    @property
    def cache(self) -> Path:
        return self.root / "home" / ".cache" / "dcnbuild" / "jit"

    def env(self, **changes: str | None) -> dict[str, str]:
        """The environment of a process that imports this copy; None takes a variable away."""
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DCNBUILD_", "XDG_", "CUDA_", "TORCH_CUDA"))
        }
        values = {"PYTHONPATH": str(self.root), "HOME": str(self.root / "home"), **changes}
        return {
            **{name: value for name, value in env.items() if name not in values},
            **{name: value for name, value in values.items() if value is not None},
        }

    def start(self, script: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Starts Python on a script, where Ctrl-C interrupts it: what a shell starts in the background ignores that."""
        heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        return subprocess.Popen(
            [sys.executable, "-c", heed + script],
            env=dict(env if env is not None else self.env()),
            cwd=self.root / "home",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a script to its end."""
        process = self.start(script, env)
        out, err = process.communicate(timeout=HANG)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def copy_package(root: Path, libraries: bool = False) -> Project:
    """The package that the tests import, copied under `root`, by default without its libraries."""
    left_out = {"__pycache__", "csrc"} if libraries else {"__pycache__", "csrc", "lib"}
    shutil.copytree(
        PACKAGE,
        root / "dcnbuild",
        ignore=lambda directory, _: left_out if Path(directory) == PACKAGE else {"__pycache__"},
    )
    (root / "home").mkdir()
    return Project(root)
