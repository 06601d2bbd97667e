"""Measures code in CPU seconds of this process and of the programs that it waited for.

Compare the result with another of the same run: a slow or busy machine makes both larger.
"""

from __future__ import annotations

import resource
from collections.abc import Callable


def cpu_seconds(work: Callable[[], object]) -> float:
    """Calls a function once, and returns its CPU seconds."""
    before = _spent()
    work()
    return _spent() - before


def _spent() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
