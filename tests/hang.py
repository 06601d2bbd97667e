"""The time that a test waits for another process before it counts as hung. No test measures time with it."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds, far above what a busy machine needs.
HANG = 1800


def wait_until(met: Callable[[], object], otherwise: str) -> None:
    """Waits until a condition is met. Raises AssertionError after HANG seconds, with what is wrong then."""
    deadline = time.monotonic() + HANG
    while not met():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
