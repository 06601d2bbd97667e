"""Where dcnbuild keeps what it makes for this user: compiled kernels in jit/, CUDA toolkits in toolkits/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def cache_home(env: Mapping[str, str]) -> Path | None:
    """DCNBUILD_CACHE, else `dcnbuild` in XDG_CACHE_HOME or ~/.cache; None without any of them. Always absolute."""
    if env.get("DCNBUILD_CACHE"):
        return Path(env["DCNBUILD_CACHE"]).absolute()
    if env.get("XDG_CACHE_HOME"):
        return Path(env["XDG_CACHE_HOME"], "dcnbuild").absolute()
    return Path(env["HOME"], ".cache/dcnbuild").absolute() if env.get("HOME") else None
