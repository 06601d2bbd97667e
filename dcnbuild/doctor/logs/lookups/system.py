"""The machine itself: how many jobs a build ran, and where tools keep their files."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.doctor.logs.rule import Hit

_JOBS = re.compile(r"\bninja .{0,20}-j ?(\d+)|MAX_JOBS=(\d+)")


def half_of_jobs(hit: Hit) -> str:
    """Half as many jobs as the log shows, at least one."""
    found = hit.context.first(_JOBS, reach=2000)
    return str(max(1, int(found[1] or found[2]) // 2) if found else 1)


def moved_by(path: str) -> str:
    """The variable that moves the directory in which a tool keeps its files: "/root/.ccache/a" → "CCACHE_DIR"."""
    rows = tables.rows("kept_in").items()
    return next((variable for part, variable in rows if part in path.replace("\\", "/")), "")
