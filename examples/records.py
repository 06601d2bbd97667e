"""Writes the examples' pictures, and their results as JSON with the commit that made them."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dcnbuild.demo.figure import save

__all__ = ["add_out", "commit", "save", "write_record"]


def add_out(parser: argparse.ArgumentParser, name: str) -> None:
    """Adds `--out`, the directory for the results."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out") / name,
        metavar="DIR",
        help="where the results go (default: %(default)s)",
    )


def commit() -> str:
    """Returns the commit of this checkout, with "+changes" where a tracked file differs from it; "unknown" outside
    git.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=10", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


#: Taken at the start: the checkout may move on while an example runs.
COMMIT = commit()


def write_record(path: Path, results: Mapping[str, Any]) -> None:
    """Writes results as JSON beside the commit and the command line that made them, whole or not at all."""
    record = {"commit": COMMIT, "arguments": sys.argv[1:], **results}
    temporary = path.with_suffix(".json.new")
    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
