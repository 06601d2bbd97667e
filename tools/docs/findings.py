"""Writes docs/findings.md and dcnbuild/doctor/examples.json from the checks and the log rules.

python -m tools.docs.findings          writes them
python -m tools.docs.findings --check  exits with 1 if they are not what would be written
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from dcnbuild.doctor.checks import all_checks
from dcnbuild.doctor.explain import pasting_lines
from dcnbuild.doctor.fixes import effects
from dcnbuild.doctor.logs import RULES, LogRule
from dcnbuild.errors import Finding
from tools.docs import page as pages
from tools.docs.example_machines import EXAMPLES

PAGE = Path("docs/findings.md")
EXAMPLES_FILE = Path("dcnbuild/doctor/examples.json")

_HEAD = """\
# Findings

Everything that `dcnbuild doctor` can find, with an example of each. The ids are stable: they stand in the
report, in `dcnbuild doctor --json` and in the errors of builds. An **error** stops builds or runs, a
**warning** may hurt, a **note** explains. What pasting a fix does is said for all of its lines, on whichever machine:
at most that.

Written by `python -m tools.docs.findings` from the checks and log rules themselves; do not edit.
"""


def machine_examples() -> str:
    """The whole text of dcnbuild/doctor/examples.json, which `dcnbuild doctor --explain` reads."""
    shown = {check.id: _lines(check.findings(EXAMPLES[check.id])[0]) for check in all_checks()}
    return json.dumps(shown, indent=1, ensure_ascii=False) + "\n"


def page() -> str:
    """The whole text of docs/findings.md."""
    parts = [_HEAD, "## On a machine: `dcnbuild doctor`\n"]
    for check in all_checks():
        lines = _lines(check.findings(EXAMPLES[check.id])[0])
        builds = "\n\nAlso asked before something is compiled." if check.builds else ""
        safety = f"\n\nPasting its fix {pasting_lines(lines)}." if "  to fix it:" in lines else ""
        parts.append(f"### {check.id}\n\n{check.title}.{builds}{safety}\n\n{_block(lines)}")
    parts.append("## In a build log: `dcnbuild doctor --log FILE`\n")
    grouped: dict[str, list[LogRule]] = {}
    for rule in RULES:
        grouped.setdefault(rule.id, []).append(rule)
    for id, rules in sorted(grouped.items()):
        titles = "; ".join(dict.fromkeys(rule.title for rule in rules))
        examples = dict.fromkeys(line for rule in rules for line in rule.example.splitlines())
        safety = effects.worst(
            found for rule in rules for step in rule.steps for found in effects.of_step(step)
        )
        parts.append(
            f"### {id} (log)\n\n{titles}. Pasting its fix {safety}. In the log:\n\n{_block(examples)}"
        )
    return "\n".join(parts)


def _lines(finding: Finding) -> list[str]:
    """A finding as the report shows it."""
    lines = [f"{finding.severity}: {finding.title}", f"  {finding.cause}"]
    lines += [f"    {line}" for line in finding.evidence]
    if finding.fix:
        lines += ["  to fix it:", *(f"    {line}" for line in finding.fix)]
    return lines


def _block(lines: Iterable[str]) -> str:
    return "\n".join(["```text", *lines, "```", ""])


def main(argv: list[str] | None = None) -> int:
    """Writes or checks the page; returns the exit status."""
    module = "tools.docs.findings"
    return max(
        pages.main(EXAMPLES_FILE, machine_examples, module, argv),
        pages.main(PAGE, page, module, argv),
    )


if __name__ == "__main__":
    sys.exit(main())
