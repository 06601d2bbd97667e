"""Chooses and makes the directory of this user's cache: compiled kernels in jit/, CUDA toolkits in toolkits/.

With any umask, no other user can write there, because dcnbuild loads and runs no file that others could have put there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def cache_home(env: Mapping[str, str]) -> Path | None:
    """Returns DCNBUILD_CACHE, else `dcnbuild` in XDG_CACHE_HOME or ~/.cache, as an absolute path; else None."""
    if env.get("DCNBUILD_CACHE"):
        return Path(env["DCNBUILD_CACHE"]).absolute()
    if env.get("XDG_CACHE_HOME"):
        return Path(env["XDG_CACHE_HOME"], "dcnbuild").absolute()
    return Path(env["HOME"], ".cache/dcnbuild").absolute() if env.get("HOME") else None


def make_directory(directory: Path) -> None:
    """Makes a directory and its missing parents, each with mode 0700. Raises OSError."""
    for missing in reversed([path for path in directory.parents if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)


def close_to_others(directory: Path) -> None:
    """Removes all other users' right to write a directory and its contents. Follows no link."""
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o022)
