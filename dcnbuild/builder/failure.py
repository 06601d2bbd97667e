"""Writes a failed build's findings as JSON, so that programs need not parse printed text."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from dcnbuild.builder.ninjafile import CompileError
from dcnbuild.errors import FindingError

#: The file of a build ahead of time, inside the directory that it builds.
FINDINGS = Path("build", "findings.json")


def leave_findings(path: Path, error: FindingError) -> None:
    """Writes the findings that stopped a build, causes first, as `{"schema": 1, "findings": [...]}`.

    If a compiler failed, the doctor's findings about its output come before the finding that names the first error. A
    write error is ignored, since the exception that follows has the same text.
    """
    found = [error.finding]
    if isinstance(error.__cause__, CompileError):
        from dcnbuild.doctor.logs import (
            read_log,  # reads all rules, which a successful build does not need
        )

        read = read_log(error.__cause__.output)
        found = [*(item for item in read if item.id != "build-stopped"), *found]
    document = {"schema": 1, "findings": [finding.to_json() for finding in found]}
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            json.dump(document, file, indent=1)
        os.replace(name, path)


def remove_findings(path: Path) -> None:
    """Removes an earlier build's file, after a successful build."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def read_findings(path: Path) -> list[dict[str, Any]]:
    """Returns the findings in a file, in the form of `Finding.to_json`; [] if there is no such file."""
    try:
        findings: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["findings"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return findings
