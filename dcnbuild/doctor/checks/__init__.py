"""The checks: what is judged, in which order, and how their verdicts become findings."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dcnbuild.doctor.fixes.fix import Fix, Target, render
from dcnbuild.errors import Finding, Severity
from dcnbuild.machine.facts import Facts

#: The modules of `dcnbuild.doctor.checks`, in the order of their findings: what comes first is
#: more often the cause of what comes after.
MODULES = (
    *("surroundings", "driver", "torch_install", "cuda_home", "toolkits", "architectures"),
    *("compilers", "python", "paths", "resources", "libraries"),
)
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Verdict:
    """What a check found; the fields are Finding's, id and title are the check's own, the fix is not yet written
    down.
    """

    severity: Severity
    cause: str
    evidence: tuple[str, ...] = ()
    fix: tuple[Fix, ...] = ()


Judge = Callable[[Facts], Iterable[Verdict]]


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        id: of its findings.
        title: of its findings.
        judge: a pure function; it says nothing where the facts do not tell.
        builds: whether it is asked before something is compiled, too.
    """

    id: str
    title: str
    judge: Judge
    builds: bool

    def findings(self, facts: Facts) -> list[Finding]:
        """What this check finds."""
        target = Target.of(facts)
        return [
            Finding(self.id, one.severity, self.title, one.cause, one.evidence, render(one.fix, target))
            for one in self.judge(facts)
        ]


_checks: dict[str, Check] = {}


def check(id: str, title: str, builds: bool = False) -> Callable[[Judge], Judge]:
    """Registers the decorated function as a check. An id can be taken only once."""

    def register(judge: Judge) -> Judge:
        if id in _checks:
            raise ValueError(f"two checks are called {id!r}")
        _checks[id] = Check(id, title, judge, builds)
        return judge

    return register


def all_checks() -> list[Check]:
    """Every check, in the order of `MODULES`."""
    for module in MODULES:
        importlib.import_module(f"dcnbuild.doctor.checks.{module}")
    return list(_checks.values())


def examine(facts: Facts, checks: Iterable[Check] | None = None) -> list[Finding]:
    """What the checks find, errors first; by default all checks."""
    chosen = all_checks() if checks is None else checks
    findings = [finding for check in chosen for finding in check.findings(facts)]
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])
