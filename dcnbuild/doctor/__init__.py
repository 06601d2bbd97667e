"""Findings about a machine's CUDA set-up or a build log: pure functions over facts, and the report."""

from __future__ import annotations

from dcnbuild.errors import Finding, FindingError

__all__ = ["Finding", "FindingError", "check"]


def check(torch: str | None = None, *, wants_cuda: bool | None = None) -> list[Finding]:
    """What `dcnbuild doctor` finds on this machine, errors first; call it before you compile something.

        for finding in dcnbuild.doctor.check(wants_cuda=True):
            if finding.severity == "error":
                raise dcnbuild.doctor.FindingError(finding)

    Neither torch nor CUDA is imported or initialised. It takes about half a second.

    Args:
        torch: which torch you would install, as `dcnbuild doctor --torch` takes it ("2.5.1", ">=2.4", "cu126",
            "latest"); there is a finding if none exists or none serves this machine. By default the installed one
            counts.
        wants_cuda: True before a build with CUDA code, False before one without, each with the checks that matter
            then. By default all checks are made.

    Raises ValueError for a `torch` that is none of these.
    """
    import os
    from dataclasses import replace

    from dcnbuild.doctor.checks import examine, preflight
    from dcnbuild.machine.collect import collect
    from dcnbuild.machine.wish import parse_wish

    if torch is not None:
        parse_wish(torch)
    facts = replace(collect(os.environ), wanted_torch=torch)
    return examine(facts) if wants_cuda is None else preflight(facts, wants_cuda)
