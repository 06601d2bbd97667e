"""The checks that a build asks before it compiles anything."""

from __future__ import annotations

from dataclasses import replace

from dcnbuild.doctor.checks import all_checks, examine
from dcnbuild.errors import Finding
from dcnbuild.machine.facts import Facts


def preflight(facts: Facts, wants_cuda: bool) -> list[Finding]:
    """What stands in the way of a build, errors first; no toolkit and no GPU where no CUDA code is to be compiled."""
    checks = [check for check in all_checks() if check.builds]
    return examine(replace(facts, wants_cuda=wants_cuda), checks)
