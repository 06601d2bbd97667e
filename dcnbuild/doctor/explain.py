"""What one finding means, with an example: `dcnbuild doctor --explain ID`."""

from __future__ import annotations

import difflib
from typing import Any

from dcnbuild.doctor.examples import EXAMPLES
from dcnbuild.doctor.logs import RULES
from dcnbuild.doctor.registry import all_checks
from dcnbuild.errors import Finding


def explain(id: str) -> dict[str, Any]:
    """A finding as `dcnbuild doctor --explain` shows it. Raises ValueError for an id that no finding has."""
    parts = [
        {
            "where": "on a machine",
            "title": check.title,
            "means": " ".join((check.judge.__doc__ or "").split()),
            "example": shown_lines(check.findings(EXAMPLES[id])[0]),
        }
        for check in all_checks()
        if check.id == id
    ]
    parts += [
        {
            "where": "in a log",
            "title": rule.title,
            "means": rule.cause if isinstance(rule.cause, str) and "{" not in rule.cause else "",
            "example": rule.example.splitlines(),
        }
        for rule in RULES
        if rule.id == id
    ]
    if not parts:
        known = sorted({*EXAMPLES, *(rule.id for rule in RULES)})
        near = difflib.get_close_matches(id, known, 3)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"--explain {id}: no such finding; {hint}")
    return {"id": id, "parts": parts}


def shown_lines(finding: Finding) -> list[str]:
    """A finding as the report shows it."""
    lines = [f"{finding.severity}: {finding.title}", f"  {finding.cause}"]
    lines += [f"    {line}" for line in finding.evidence]
    if finding.fix:
        lines += ["  to fix it:", *(f"    {line}" for line in finding.fix)]
    return lines
