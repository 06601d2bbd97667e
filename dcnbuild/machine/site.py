"""Finds the package directories of a Python environment, also from inside pip's build isolation."""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from dcnbuild.machine.files import children, existing, is_dir, read_text, split_paths


def site_packages(prefix: Path | None = None, env: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Returns the directories from which an environment imports packages, in its order.

    Args:
        prefix: the environment, by default this interpreter's. A virtual environment made with --system-site-packages
            includes the directories of its base.
        env: the environment variables; without them, PYTHONPATH and HOME do not count.
    """
    prefix = prefix or Path(sys.prefix)
    directories = []
    if env is not None:
        directories += split_paths(env.get("PYTHONPATH", ""))
    config = read_text(prefix / "pyvenv.cfg")
    if config is None:  # not a virtual environment: the user's packages come before the system's
        directories += _user_directories(env)
    directories += _own_directories(prefix)
    if config is not None and sees_system_packages(config):
        directories += _user_directories(env)
        home = re.search(r"^home\s*=\s*(.+)$", config, re.MULTILINE)
        if home:
            directories += _own_directories(Path(home[1].strip()).parent)
    return existing([*directories, *_path_file_entries(directories)])


def _path_file_entries(directories: list[Path]) -> Iterator[Path]:
    """Yields the directories that *.pth files add: editable installs, environments on top of others."""
    for directory in directories:
        for path_file in children(directory, "*.pth"):
            for line in (read_text(path_file) or "").splitlines():
                if line.strip() and not line.startswith(("#", "import ", "import\t")):
                    yield directory / line.strip()


def sees_system_packages(config: str) -> bool:
    """Whether a pyvenv.cfg lets its virtual environment use the packages of its base."""
    return bool(re.search(r"(?mi)^include-system-site-packages\s*=\s*true\s*$", config))


def _own_directories(prefix: Path) -> list[Path]:
    directories = []
    if prefix == Path(sys.prefix):
        paths = sysconfig.get_paths()
        directories += [Path(paths["purelib"]), Path(paths["platlib"])]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for lib in ("lib", "lib64"):
        own = prefix / lib / version / "site-packages"
        # another interpreter's environment, with any Python version
        others = [] if is_dir(own) else children(prefix / lib, "python3*/site-packages")
        directories += [own, *others]
    # Debian's directories of packages from apt and from the system's pip
    directories += [
        prefix / "local/lib" / version / "dist-packages",
        prefix / "lib/python3/dist-packages",
        prefix / "Lib/site-packages",
    ]
    return directories


def _user_directories(env: Mapping[str, str] | None) -> list[Path]:
    if env is None or not env.get("HOME") or env.get("PYTHONNOUSERSITE"):
        return []
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = env.get("PYTHONUSERBASE") or f"{env['HOME']}/.local"
    return [Path(base) / "lib" / version / "site-packages"]
