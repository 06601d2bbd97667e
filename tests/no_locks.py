"""Imitates file systems without locks, such as NFS without lockd."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path


def failing(code: int, below: Path | None) -> Callable[[int, int], None]:
    """A flock that fails on files below a directory, or on all."""
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if below is None or below in name.parents:
            raise OSError(code, os.strerror(code))
        real(descriptor, operation)

    return flock
