"""Finds the directories in which torch builds extensions at run time, and locks that were left in them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from dcnbuild.machine import files
from dcnbuild.machine.facts import JitCache

#: Of a cache with more extensions than this, only so many are examined.
_MOST = 200


def torch_extensions(env: Mapping[str, str]) -> Path | None:
    """Returns the directory in which `torch.utils.cpp_extension.load` builds: TORCH_EXTENSIONS_DIR, or torch's
    default.
    """
    if env.get("TORCH_EXTENSIONS_DIR"):
        return Path(env["TORCH_EXTENSIONS_DIR"])
    cache = env.get("XDG_CACHE_HOME") or (f"{env['HOME']}/.cache" if env.get("HOME") else None)
    return Path(cache, "torch_extensions") if cache else None


def find_jit_caches(env: Mapping[str, str], now: float | None = None) -> list[JitCache]:
    """Returns the directories that have a lock, or that this user cannot write.

    Args:
        env: the environment variables.
        now: seconds since the epoch, by default the current time.
    """
    root = torch_extensions(env)
    if root is None or not files.is_dir(root):
        return []
    found = []
    # <root>/<name> with TORCH_EXTENSIONS_DIR, <root>/py311_cu130/<name> without
    directories = [root, *files.children(root), *files.children(root, "*/*")][:_MOST]
    for directory in filter(files.is_dir, directories):
        idle = _lock_idle(directory, time.time() if now is None else now)
        writable = os.access(directory, os.W_OK | os.X_OK)
        if idle is not None or not writable:
            found.append(JitCache(directory, idle, writable))
    return found


def _lock_idle(directory: Path, now: float) -> float | None:
    if not files.is_file(directory / "lock"):
        return None
    changed = []
    for path in [directory, *files.children(directory)]:
        try:
            changed.append(path.stat().st_mtime)
        except OSError:  # a running build has just removed it
            continue
    return max(0.0, now - max(changed, default=now))
