"""`dcnbuild doctor --explain ID`: what a finding means, with an example, and what pasting its fix does."""

from __future__ import annotations

import difflib
from typing import Any

from dcnbuild.doctor.checks import Check, all_checks
from dcnbuild.doctor.examples import EXAMPLES
from dcnbuild.doctor.fixes import effects
from dcnbuild.doctor.logs import RULES, LogRule
from dcnbuild.doctor.report import below_title


def pasting(*rules: LogRule) -> str:
    """What pasting the fix of rules does at most, on whichever machine."""
    steps = (step for rule in rules for step in rule.steps)
    return effects.worst(found for step in steps for found in effects.of_step(step))


def _of_check(check: Check) -> dict[str, Any]:
    finding = check.findings(EXAMPLES[check.id])[0]
    return {
        "where": "on a machine",
        "title": check.title,
        "means": " ".join((check.judge.__doc__ or "").split()),
        "pasting": effects.worst(map(effects.of_line, finding.fix)),
        "example": [f"{finding.severity}: {finding.title}", *(line for line, _ in below_title(finding))],
    }


def _of_rule(rule: LogRule) -> dict[str, Any]:
    return {
        "where": "in a log",
        "title": rule.title,
        "means": rule.cause if isinstance(rule.cause, str) and "{" not in rule.cause else "",
        "pasting": pasting(rule),
        "example": rule.example.splitlines(),
    }


def explain(id: str) -> dict[str, Any]:
    """A finding by its id. Raises ValueError for an id that no finding has."""
    parts = [_of_check(check) for check in all_checks() if check.id == id]
    parts += [_of_rule(rule) for rule in RULES if rule.id == id]
    if not parts:
        known = sorted({*EXAMPLES, *(rule.id for rule in RULES)})
        near = difflib.get_close_matches(id, known, 3)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"--explain {id}: no such finding; {hint}")
    return {"id": id, "parts": parts}
