"""The machine itself: how many jobs a build ran."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs.rule import Hit

_JOBS = re.compile(r"\bninja .{0,20}-j ?(\d+)|MAX_JOBS=(\d+)")


def half_of_jobs(hit: Hit) -> str:
    """Half as many jobs as the log shows, at least one."""
    found = hit.context.first(_JOBS, reach=2000)
    return str(max(1, int(found[1] or found[2]) // 2) if found else 1)
