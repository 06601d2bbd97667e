"""Reads wheels: pip downloads one, a small archive keeps its text files, and the wheel is deleted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

LINUX = "manylinux_2_39_x86_64"
_LINUX_TAGS = (
    *tuple(f"manylinux_2_{minor}" for minor in range(39, 4, -1)),
    *("manylinux2014", "manylinux2010", "manylinux1"),
)


@dataclass(frozen=True)
class Wheel:
    """One wheel to read.

    Attributes:
        package: its name, e.g. "nvidia-cuda-runtime-cu12".
        version: a version or prefix for pip's `==`, e.g. "12.9.79" or "12.9.*".
        python: download the wheel for this CPython, e.g. "3.11".
        platform: a platform tag; "" for a pure wheel.
    """

    package: str
    version: str
    python: str = "3.11"
    platform: str = LINUX

    @property
    def stem(self) -> str:
        """Returns the name of its archive in the cache, without the suffix."""
        return f"{self.package}-{self.version.replace('*', 'x')}-{self.platform or 'any'}"


@dataclass(frozen=True)
class Archive:
    """The kept files of a wheel; `name` is "package version", as in the tables."""

    path: Path
    name: str

    def texts(self, pattern: str) -> Iterator[tuple[str, str]]:
        """Yields (path in the wheel, text) of every kept file whose path matches, in order of the paths."""
        wanted = re.compile(pattern)
        with zipfile.ZipFile(self.path) as archive:
            for member in sorted(archive.namelist()):
                if wanted.search(member):
                    yield member, archive.read(member).decode("utf-8", "replace")

    def listing(self) -> list[str]:
        """Returns the path of every file of the wheel, kept or not."""
        with zipfile.ZipFile(self.path) as archive:
            return archive.read("LISTING").decode().splitlines()

    def requirements(self) -> list[str]:
        """Returns its Requires-Dist lines."""
        ((_, metadata),) = self.texts(r"dist-info/METADATA$")
        return message_from_string(metadata).get_all("Requires-Dist") or []


def fetch(wheel: Wheel, cache: Path, keep: str) -> Archive:
    """Downloads a wheel unless the cache has it, and keeps its files that match a pattern.

    Raises:
        subprocess.CalledProcessError: pip found no such wheel, or could not download it.
    """
    path = cache / f"{wheel.stem}.zip"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _download(wheel, Path(folder))
            (downloaded,) = Path(folder).glob("*.whl")
            _shrink(downloaded, path, re.compile(rf"{keep}|dist-info/METADATA$").search)
    with zipfile.ZipFile(path) as archive:
        return Archive(path, archive.comment.decode())


def _download(wheel: Wheel, folder: Path) -> None:
    platforms = []
    if wheel.platform:
        tags = [wheel.platform]
        if wheel.platform == LINUX:
            tags = [f"{tag}_x86_64" for tag in _LINUX_TAGS]
        platforms = [f"--platform={tag}" for tag in [*tags, "any"]]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--only-binary=:all:", f"--python-version={wheel.python}", *platforms),
            *("--dest", str(folder), f"{wheel.package}=={wheel.version}"),
        ],
        check=True,
        # the machine's constraints are for installed packages; this pip only downloads wheels to read
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
    )


def _shrink(wheel: Path, path: Path, wanted: Callable[[str], object]) -> None:
    temporary = path.with_suffix(".new")
    package, version = wheel.name.split("-")[:2]
    with (
        zipfile.ZipFile(wheel) as source,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target,
    ):
        names = sorted(name for name in source.namelist() if not name.endswith("/"))
        for name in names:
            if wanted(name):
                target.writestr(name, source.read(name))
        target.writestr("LISTING", "\n".join(names))
        target.comment = f"{package.replace('_', '-')} {version}".encode()
    temporary.replace(path)
