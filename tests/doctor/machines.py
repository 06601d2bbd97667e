"""Makes facts for the checks to judge, by changing those of a healthy machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dcnbuild.doctor.checks import all_checks, examine
from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.doctor.fixes.fix import Target
from dcnbuild.doctor.fixes.quoting import Shell
from dcnbuild.errors import Finding
from dcnbuild.machine.facts import Facts


def broken(**changes: Any) -> Facts:
    """The machine in good order with these fields instead."""
    return replace(HEALTHY, **changes)


def machine(**changes: Any) -> Facts:
    return broken(machine=replace(HEALTHY.machine, **changes))


def python(**changes: Any) -> Facts:
    return broken(python=replace(HEALTHY.python, **changes))


def variables(**changes: str) -> dict[str, str]:
    return {**HEALTHY.variables, **changes}


def found(facts: Facts, id: str) -> list[Finding]:
    """The findings of one check."""
    return examine(facts, [check for check in all_checks() if check.id == id])


def one(facts: Facts, id: str) -> Finding:
    """The only finding of one check."""
    (finding,) = found(facts, id)
    return finding


def target(shell: Shell, **fields: object) -> Target:
    """Where the commands of a shell are pasted."""
    system = "Windows" if shell in ("cmd", "powershell") else "Linux"
    return Target(shell, system, **fields)  # type: ignore[arg-type]
