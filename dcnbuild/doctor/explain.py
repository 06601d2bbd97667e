"""`dcnbuild doctor --explain ID`: what a finding means, with an example, and what pasting its fix does."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from dcnbuild.doctor.checks import Check, all_checks
from dcnbuild.doctor.fixes import effects
from dcnbuild.doctor.logs import RULES, LogRule

#: The finding of each check on an example of a machine, as the report shows it; `python -m tools.docs.findings` writes it.
EXAMPLES = Path(__file__).with_name("examples.json")


def examples() -> dict[str, list[str]]:
    """Check's id → lines of the report."""
    found: dict[str, list[str]] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    return found


def pasting(rule: LogRule) -> str:
    """What pasting the fix of a rule does, on whichever machine."""
    return effects.worst(found for step in rule.steps for found in effects.of_step(step))


def pasting_lines(lines: list[str]) -> str:
    """The same for lines of the report: those below "to fix it:"."""
    fix = lines[lines.index("  to fix it:") + 1 :] if "  to fix it:" in lines else []
    return effects.worst(effects.of_line(line.strip()) for line in fix)


def _of_check(check: Check, lines: list[str]) -> dict[str, Any]:
    return {
        "where": "on a machine",
        "title": check.title,
        "means": " ".join((check.judge.__doc__ or "").split()),
        "pasting": pasting_lines(lines),
        "example": lines,
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
    shown = examples()
    parts = [_of_check(check, shown[id]) for check in all_checks() if check.id == id]
    parts += [_of_rule(rule) for rule in RULES if rule.id == id]
    if not parts:
        known = sorted({*shown, *(rule.id for rule in RULES)})
        near = difflib.get_close_matches(id, known, 3)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"--explain {id}: no such finding; {hint}")
    return {"id": id, "parts": parts}
