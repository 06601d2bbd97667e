"""What a build that failed leaves for programs: its findings as JSON, so that nobody reads them out of printed text."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from dcnbuild.builder.ninjafile import CompileError
from dcnbuild.errors import FindingError

#: Where a build ahead of time leaves them, in the directory that it builds.
FINDINGS = Path("build", "findings.json")


def leave_findings(path: Path, error: FindingError) -> None:
    """Writes what stopped a build, causes first, as `{"schema": 1, "findings": [...]}`.

    Where a compiler failed, the doctor's findings about its output come before the one that names the first error.
    A file that cannot be written is not missed: the error that is raised says the same.
    """
    found = [error.finding]
    if isinstance(error.__cause__, CompileError):
        from dcnbuild.doctor.logs import (
            read_log,  # every rule, which a build that works does not need
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
    """Removes what an earlier build has left; for a build that is done."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def read_findings(path: Path) -> list[dict[str, Any]]:
    """The findings in a file, as `Finding.to_json` gives them; [] where no build has left any."""
    try:
        findings: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["findings"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return findings
