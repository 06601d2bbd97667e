"""Where dcnbuild keeps what it makes for this user: compiled kernels in jit/, CUDA toolkits in toolkits/.

Whatever the umask is, others cannot write there: what they could have put there is never loaded or run.
"""

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


def make_directory(directory: Path) -> None:
    """Makes a directory and those above it that are missing, each with mode 0700. Raises OSError."""
    for missing in reversed([path for path in directory.parents if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)


def close_to_others(directory: Path) -> None:
    """Takes from everybody else the right to write a directory and what is in it. Follows no link."""
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o022)
