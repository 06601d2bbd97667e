"""Reads the workflows of .github/workflows, for the tests of tests/tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from conftest import CHECKOUT

WORKFLOWS = sorted((CHECKOUT / ".github/workflows").glob("*.yml"))


def jobs(workflow: Path) -> dict[str, Any]:
    """Returns name → job of a workflow."""
    document = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    return dict(document["jobs"])


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every step, with its workflow, its job and its number, as in "release-sdist-1"."""
    for workflow in WORKFLOWS:
        for name, job in jobs(workflow).items():
            for i, step in enumerate(job["steps"]):
                yield f"{workflow.stem}-{name}-{i}", step


#: The script of every `run:` step.
SCRIPTS = {where: step["run"] for where, step in steps() if "run" in step}
