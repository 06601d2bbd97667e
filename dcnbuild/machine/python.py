"""Reads the Python environment: interpreter, packages that affect builds, ninja, constraints."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from dcnbuild.machine import files
from dcnbuild.machine.facts import Python
from dcnbuild.machine.site import site_packages

#: Packages whose version decides whether a build works.
PACKAGES = (
    "setuptools",
    "numpy",
    "pip",
    "packaging",
    "wheel",
    "ninja",
    "torchvision",
    "torchaudio",
    "pybind11",
)
#: Packages for which a pip constraint can break a build.
CONSTRAINED = re.compile(r"^(torch|torchvision|setuptools|numpy|ninja)(?=[\s=<>!~;\[@]|$)", re.I)


def find_python(env: Mapping[str, str], root: Path = Path("/")) -> Python:
    """Returns the facts of this interpreter's environment. `root` is the directory of /etc."""
    prefix = Path(sys.prefix)
    ninja = next(files.on_path(env, "ninja"), None)
    own_ninja = prefix / "bin/ninja"
    return Python(
        version=".".join(map(str, sys.version_info[:3])),
        executable=Path(sys.executable or "python"),
        prefix=prefix,
        base_prefix=Path(sys.base_prefix),
        on_path=next((path for name in ("python", "python3") for path in files.on_path(env, name)), None),
        is_active=files.resolve(Path(env["VIRTUAL_ENV"])) == files.resolve(prefix) if env.get("VIRTUAL_ENV") else None,
        has_headers=_has_headers(),
        packages=package_versions(site_packages(prefix, env)),
        ninja=ninja,
        hidden_ninja=own_ninja if ninja is None and files.is_file(own_ninja) else None,
        constraints=tuple(_constraints(env, prefix, root)),
    )


def package_versions(directories: tuple[Path, ...]) -> dict[str, str]:
    """Returns name → version of the installed ones of `PACKAGES`; the first directory wins."""
    versions: dict[str, str] = {}
    for directory in directories:
        for metadata in files.children(directory, "*-info"):
            match = re.fullmatch(r"([A-Za-z0-9_.]+)-([^-]+)(?:-.*)?\.(?:dist|egg)-info", metadata.name)
            if match and match[1].lower() in PACKAGES:
                versions.setdefault(match[1].lower(), match[2])
    return versions


def _has_headers() -> bool | None:
    include = sysconfig.get_paths().get("include")
    return files.is_file(Path(include, "Python.h")) if include else None


def _constraints(env: Mapping[str, str], prefix: Path, root: Path) -> Iterator[tuple[str, str]]:
    for source, value in _constraint_settings(env, prefix, root):
        for name in value.split():
            text = files.read_text(Path(name.removeprefix("file://")))
            for line in (text or "").splitlines():
                requirement = line.partition("#")[0].strip()
                if CONSTRAINED.match(requirement):
                    yield f"{source}: {name}", requirement


def _constraint_settings(env: Mapping[str, str], prefix: Path, root: Path) -> Iterator[tuple[str, str]]:
    for variable in ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"):
        if env.get(variable):
            yield variable, env[variable]
    if env.get("PIP_CONFIG_FILE") == os.devnull:  # pip then reads no file
        return
    places = [root / "etc/pip.conf", root / "etc/xdg/pip/pip.conf", prefix / "pip.conf"]
    home = env.get("HOME")
    if home:
        config = env.get("XDG_CONFIG_HOME") or f"{home}/.config"
        places += [Path(home, ".pip/pip.conf"), Path(config, "pip/pip.conf")]
    if env.get("PIP_CONFIG_FILE"):
        places.append(Path(env["PIP_CONFIG_FILE"]))
    for place in places:
        text = files.read_text(place)
        for match in re.finditer(r"^\s*(?:build-)?constraint\s*[=:]\s*(.+(?:\n[ \t]+\S.*)*)", text or "", re.MULTILINE):
            yield str(place), match[1]
