"""Writes docs/findings.md from the checks and the log rules.

python -m tools.docs.findings          writes it
python -m tools.docs.findings --check  exits with 1 if the page is out of date
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from dcnbuild.doctor.checks import all_checks
from dcnbuild.doctor.examples import EXAMPLES
from dcnbuild.doctor.explain import pasting, shown_lines
from dcnbuild.doctor.fixes import effects
from dcnbuild.doctor.logs import RULES, LogRule
from tools.docs import page as pages

PAGE = Path("docs/findings.md")

_HEAD = """\
# Findings

Everything that `dcnbuild doctor` can find, with an example of each. The ids are stable: they stand in the
report, in `dcnbuild doctor --json` and in the errors of builds. An **error** stops builds or runs, a
**warning** may hurt, a **note** explains. What pasting a fix does is said for all of its lines, on whichever machine:
at most that.

Find your symptom in one of the two lists, or search this page for the id that the report names.
"""


def page() -> str:
    """Returns the text of docs/findings.md."""
    grouped: dict[str, list[LogRule]] = {}
    for rule in RULES:
        grouped.setdefault(rule.id, []).append(rule)
    checks = sorted((check.title, check.id) for check in all_checks())
    logs = sorted({(rule.title, f"{rule.id} (log)") for rule in RULES})
    parts = [
        pages.written_by("tools.docs.findings"),
        _HEAD,
        f"## Symptoms of a machine\n\n{pages.index(checks)}",
        f"## Symptoms in a log\n\n{pages.index(logs)}",
        "## On a machine: `dcnbuild doctor`\n",
    ]
    for check in all_checks():
        finding = check.findings(EXAMPLES[check.id])[0]
        builds = "\n\nAlso asked before something is compiled." if check.builds else ""
        effect = effects.worst(map(effects.of_line, finding.fix))
        safety = f"\n\nPasting its fix {effect}." if finding.fix else ""
        text = f"{check.title}.{builds}{safety}\n\n{_block(shown_lines(finding))}"
        parts.append(f"### {check.id}\n\n{text}")
    parts.append("## In a build log: `dcnbuild doctor --log FILE`\n")
    for id, rules in sorted(grouped.items()):
        titles = "; ".join(dict.fromkeys(rule.title for rule in rules))
        examples = dict.fromkeys(line for rule in rules for line in rule.example.splitlines())
        text = f"{titles}. Pasting its fix {pasting(*rules)}. In the log:\n\n{_block(examples)}"
        parts.append(f"### {id} (log)\n\n{text}")
    return "\n".join(parts)


def _block(lines: Iterable[str]) -> str:
    return "\n".join(["```text", *lines, "```", ""])


def main(argv: list[str] | None = None) -> int:
    """Writes or checks the page; returns the exit status."""
    return pages.main(PAGE, page, "tools.docs.findings", argv)


if __name__ == "__main__":
    sys.exit(main())
