"""Makes a directory with an aarch64 Python and torch, whose programs run under qemu.

Debian's packages are unpacked with an apt configuration of their own, so that nothing of this machine's changes. pip
installs wheels for the other machine. A script in the place of each program starts qemu. So `sys.executable` is a
program that this machine can run, and what Python starts is either such a script or a program of this machine, such as
a compiler.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dcnbuild.base.own_requirements import BUILD, RUN

MACHINE = "aarch64"
QEMU = "qemu-aarch64-static"
COMPILER = "aarch64-linux-gnu-g++"
#: What this machine needs: programs and the Debian packages that have them.
PROGRAMS = {
    QEMU: "qemu-user-static",
    COMPILER: "g++-aarch64-linux-gnu",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}
_PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "libgomp1")
#: torch's requirements but for CUDA's: pip reads their conditions for the machine on which it runs.
_TORCH_NEEDS = ("filelock", "typing-extensions", "sympy", "networkx", "jinja2", "fsspec")
_TESTS_NEED = ("numpy", "pillow", "pytest", "pytest-timeout", "hypothesis")


class Unavailable(Exception):
    """Something cannot be had here; the text names it."""


class Root:
    """The directory. `python` is its Python, to be started as any program."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.python = self.path / "usr/bin/python"

    def run(self, *arguments: str | Path, env: dict[str, str], cwd: Path) -> int:
        """Runs its Python, and returns the status."""
        return subprocess.run(self._command(arguments), env=self._environment(env), cwd=cwd).returncode

    def read(self, *arguments: str | Path, env: dict[str, str], cwd: Path) -> tuple[int, str]:
        """Runs its Python, and returns the status and what it printed on standard output."""
        done = subprocess.run(
            self._command(arguments), env=self._environment(env), cwd=cwd, stdout=subprocess.PIPE, text=True
        )
        return done.returncode, done.stdout

    def _command(self, arguments: Sequence[str | Path]) -> list[str]:
        return [str(self.python), *map(str, arguments)]

    def _environment(self, env: dict[str, str]) -> dict[str, str]:
        # Compiled modules are kept: without them, importing torch takes half a minute each time.
        return {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **env}


def missing_programs() -> list[str]:
    """Says what this machine lacks, one line each."""
    return [
        f"no {program} on PATH: apt-get install {package}"
        for program, package in PROGRAMS.items()
        if shutil.which(program) is None
    ]


def make(path: Path, torch: str, torchvision: str) -> Root:
    """Returns the root, made anew unless it is there with the same contents.

    Args:
        path: the directory. It takes about 900 MB.
        torch: the release, whose wheel for aarch64 should be one without CUDA.
        torchvision: the release of it that belongs to that torch.

    Raises Unavailable that names what could not be fetched.
    """
    if missing := missing_programs():
        raise Unavailable("\n".join(missing))
    root = Root(path)
    pure = [*_TORCH_NEEDS, *_TESTS_NEED, *map(str, (*BUILD, *RUN)), "pip"]
    contents = json.dumps([_PACKAGES, torch, torchvision, pure])
    stamp = root.path / "contents.json"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == contents:
        return root
    shutil.rmtree(root.path, ignore_errors=True)
    _unpack_packages(root.path)
    python = next(root.path.glob("usr/bin/python3.?*"))
    site = root.path / "usr/local/lib" / python.name / "dist-packages"
    torches = (f"torch=={torch}", f"torchvision=={torchvision}")
    _install(site, python.name.removeprefix("python"), "--no-deps", *torches)
    _install(site, python.name.removeprefix("python"), *pure)
    _write_starter(root.python, root.path, python, named=True)
    # Beside Python, where the package `ninja` looks for its program.
    _write_starter(root.path / "usr/bin/ninja", root.path, site / "bin/ninja")
    stamp.write_text(contents, encoding="utf-8")
    return root


def _unpack_packages(root: Path) -> None:
    """Downloads Debian's packages with all that they need, and unpacks them; runs none of their scripts."""
    apt = root / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Dir::State::Lists": apt / "lists",
        "Dir::State::Status": apt / "status",  # nothing is installed
        "Dir::Cache": apt / "cache",
    }
    command = ["apt-get", "-q", "-y", *(f"-o{name}={value}" for name, value in settings.items())]
    _fetch("Debian's lists of packages for arm64", [*command, "update"])
    install = ("--no-install-recommends", "--download-only", "install", *_PACKAGES)
    _fetch("Debian's packages of Python for arm64", [*command, *install])
    for package in sorted(apt.glob("cache/archives/*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, root], check=True)
    shutil.rmtree(apt)


def write_compiler(directory: Path) -> None:
    """Writes `c++`, which is this machine's cross compiler: what a user's PATH has on an aarch64 machine."""
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / "c++"
    script.write_text(f'#!/bin/sh\nexec {COMPILER} "$@"\n', encoding="utf-8")
    script.chmod(0o755)


def _install(site: Path, python: str, *requirements: str) -> None:
    """Installs wheels for aarch64, with what they need, beside those that are there."""
    platforms = [f"--platform=manylinux_2_{minor}_{MACHINE}" for minor in range(28, 16, -1)]
    options = ("--quiet", "--no-compile", "--only-binary=:all:", "--implementation=cp", "--upgrade")
    _fetch(
        f"wheels for aarch64: {' '.join(requirements)}",
        [
            *(sys.executable, "-m", "pip", "install", *options, *platforms),
            *(f"--python-version={python}", f"--target={site}", *requirements),
        ],
    )


def _fetch(what: str, command: Sequence[str]) -> None:
    print(f"fetching {what} …", flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines() or [f"{command[0]} ended with {done.returncode}"]
        raise Unavailable(f"could not fetch {what}: {lines[-1]}")


def _write_starter(script: Path, root: Path, program: Path, *, named: bool = False) -> None:
    """Writes a script that runs a program of the root; the program sees the script's name as its own if `named`."""
    name = ("-0", str(script)) if named else ()
    command = shlex.join([QEMU, "-cpu", "max", "-L", str(root), *name, str(program)])
    script.unlink(missing_ok=True)  # a link to the program
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
