"""Writes docs/findings.md from the checks and the log rules.

python -m tools.docs.findings          writes it
python -m tools.docs.findings --check  exits with 1 if the page is out of date
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from dcnbuild.doctor.checks import Check, all_checks
from dcnbuild.doctor.examples import EXAMPLES
from dcnbuild.doctor.explain import pasting
from dcnbuild.doctor.fixes import effects
from dcnbuild.doctor.logs import RULES, LogRule
from dcnbuild.doctor.report import below_title
from tools.docs import page as pages
from tools.docs.subjects import SECTIONS, section

PAGE = Path("docs/findings.md")

_HEAD = """\
# Findings

Everything that `dcnbuild doctor` can find. Open a line to see an example. To find the message of a build, search for some words of it
with the search of this site, or paste the log on the page [What broke my build?](what-broke.md).

An **error** stops builds or runs, a **warning** may hurt, a **note** explains. The ids, such as `cuda-mismatch`, are stable: they are used in
reports, in `dcnbuild doctor --json` and in the errors of builds, and `dcnbuild doctor --explain ID` shows the entry in a terminal. An entry
says what pasting its fix changes at most, on any machine.
"""


def page() -> str:
    """Returns the text of docs/findings.md."""
    checks = {check.id: check for check in all_checks()}
    rules: dict[str, list[LogRule]] = {}
    for rule in RULES:
        rules.setdefault(rule.id, []).append(rule)
    entries: dict[str, list[tuple[str, str]]] = {name: [] for name in SECTIONS}
    for id in {**checks, **rules}:
        of_machine, of_log = checks.get(id), rules.get(id, [])
        titles = [*([of_machine.title] if of_machine else []), *(rule.title for rule in of_log)]
        title = "; ".join(dict.fromkeys(titles))
        body = "\n".join(
            [*([_on_a_machine(of_machine)] if of_machine else []), *([_in_a_log(of_log)] if of_log else [])]
        )
        entries[section(id, title)].append((title, pages.entry(id, title, body)))
    parts = [pages.written_by("tools.docs.findings"), _HEAD]
    for name, found in entries.items():
        if found:
            parts += [f"## {name}\n", *(text for _, text in sorted(found, key=lambda it: it[0].lower()))]
    return "\n".join(parts)


def _on_a_machine(check: Check) -> str:
    finding = check.findings(EXAMPLES[check.id])[0]
    builds = ", also before something is compiled" if check.builds else ""
    safety = f" Pasting its fix {effects.worst(map(effects.of_line, finding.fix))}." if finding.fix else ""
    shown = [f"{finding.severity}: {finding.title}", *(line for line, _ in below_title(finding))]
    return f"`dcnbuild doctor` looks for it on this machine{builds}.{safety}\n\n{_block(shown)}"


def _in_a_log(rules: list[LogRule]) -> str:
    examples = dict.fromkeys(line for rule in rules for line in rule.example.splitlines())
    return f"In a log, it looks like this. Pasting its fix {pasting(*rules)}.\n\n{_block(examples)}"


def _block(lines: Iterable[str]) -> str:
    return "\n".join(["```text", *lines, "```", ""])


def main(argv: list[str] | None = None) -> int:
    """Writes or checks the page; returns the exit status."""
    return pages.main(PAGE, page, "tools.docs.findings", argv)


if __name__ == "__main__":
    sys.exit(main())
