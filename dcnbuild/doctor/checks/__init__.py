"""The checks: what is judged, in which order, and how their verdicts become findings.

A check decides, and checks.yaml has what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from dcnbuild.base import plain_yaml
from dcnbuild.doctor import templates
from dcnbuild.doctor.checks.evidence import described
from dcnbuild.doctor.fixes.fix import Fix, Target, render
from dcnbuild.errors import Finding, Severity
from dcnbuild.machine.facts import Facts

_TABLE = plain_yaml.beside(__file__, "../checks.yaml")
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


class Verdict:
    """That a check found something: the fix, not yet written down, and what its sentences name beside the facts."""

    def __init__(self, *fix: Fix, **values: Any) -> None:
        self.fix, self.values = fix, values


@dataclass(frozen=True)
class _Judged:
    """What gives the names in a check's sentences their texts."""

    facts: Facts
    values: Mapping[str, Any]

    def value(self, name: str) -> str:
        """The text of what is known."""
        return described(self.known(name))

    def known(self, name: str) -> Any:
        """What the check hands over by this name, else the fact of that name; a part of it behind a point."""
        first, *parts = name.split(".")
        found = self.values[first] if first in self.values else getattr(self.facts, first)
        for part in parts if found is not None else ():
            found = found.get(part) if isinstance(found, Mapping) else getattr(found, part)
        return found

    def lines(self, template: str) -> Iterator[str]:
        """The line that is meant, for each item of a list that it names; none where it names nothing."""
        template = templates.chosen(template, self)
        for name in (found[1] for found in templates.ENTITY.finditer(template)):
            items = self.known(name)
            if isinstance(items, (list, tuple)):
                whole = template.replace(f"{{{name}}}", "{item}")
                for item in items:
                    yield from replace(self, values={**self.values, "item": item}).lines(whole)
                return
        if template and templates.complete(template, self):
            yield templates.filled(template, self)


Judge = Callable[[Facts], Iterable[Verdict]]


@dataclass(frozen=True)
class Check:
    """One check: a row of checks.yaml, and the function of its name, which judges.

    Attributes:
        id: of its findings.
        judge: a pure function; it says nothing where the facts do not tell.
        title: of its findings.
        severity, cause, evidence: of its findings, as templates.
        builds: whether it is asked before something is compiled, too.
    """

    id: str
    judge: Judge
    title: str
    severity: str | list[Any]
    cause: str | list[Any]
    evidence: list[Any]
    builds: bool = False

    def findings(self, facts: Facts) -> list[Finding]:
        """What this check finds."""
        return [self._finding(_Judged(facts, one.values), one.fix) for one in self.judge(facts)]

    def _finding(self, names: _Judged, fix: tuple[Fix, ...]) -> Finding:
        severity = cast(Severity, templates.meant(self.severity, names))
        cause = templates.filled(templates.meant(self.cause, names), names)
        evidence = (line for said in self.evidence for line in names.lines(templates.meant(said, names)))
        return Finding(self.id, severity, self.title, cause, tuple(evidence), render(fix, Target.of(names.facts)))


def all_checks() -> list[Check]:
    """Every check, in the order of checks.yaml: a row, and the function of its name, gpu_hidden() of "gpu-hidden"."""
    from dcnbuild.doctor.checks import architectures, compilers, driver, environment, libraries, toolkits, torch_install

    modules = (architectures, compilers, driver, environment, libraries, toolkits, torch_install)
    judges = {name: judge for module in modules for name, judge in vars(module).items()}
    return [Check(id, judges[id.replace("-", "_")], **row) for id, row in _TABLE.items()]


def preflight(facts: Facts, wants_cuda: bool) -> list[Finding]:
    """What stands in the way of a build, errors first; no toolkit and no GPU where no CUDA code is to be compiled."""
    return examine(replace(facts, wants_cuda=wants_cuda), [check for check in all_checks() if check.builds])


def examine(facts: Facts, checks: Iterable[Check] | None = None) -> list[Finding]:
    """What the checks find, errors first; by default all checks."""
    chosen = all_checks() if checks is None else checks
    findings = [finding for check in chosen for finding in check.findings(facts)]
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])
