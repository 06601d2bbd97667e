"""Logs that several tests read: each is read once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dcnbuild.doctor.logs import read_log
from dcnbuild.errors import Finding

CASES = Path(__file__).with_name("cases")
_OUTSIDE = Path(__file__).with_name("outside")
#: Logs with what the first finding must match: rewordings of given faults, and reports of 2022 to 2026 made anew.
VARIANTS: list[dict[str, Any]] = [
    case
    for name in ("variants.json", "reports.json")
    for case in json.loads((_OUTSIDE / name).read_text(encoding="utf-8"))
]


@cache
def findings(log: str | bytes) -> tuple[Finding, ...]:
    """What is found in a log."""
    return tuple(read_log(log))


def fix(log: str) -> list[str]:
    """The lines of the first fix."""
    return list(findings(log)[0].fix)


def told(log: str, number: int = 0) -> tuple[str, list[str]]:
    """The id of a finding, the first by default, and the lines of its fix that are no comments."""
    found = findings(log)[number]
    return found.id, [line for line in found.fix if not line.startswith(("#", "rem "))]


def first(log: str | bytes) -> str | None:
    """The id of the first finding, from a log that no other test reads."""
    found = read_log(log)
    return found[0].id if found else None


@cache
def expected(folder: Path) -> dict[str, Any]:
    """The expectations of a folder of cases: name of a log → what has to be found."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (folder / "expected.yaml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.load(text, Loader=loader)
    return table
