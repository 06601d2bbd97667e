"""Checks what the doctor says of the names of Python packages, by the packages themselves.

`python_packages` of dcnbuild/doctor/logs/lookups/tables.yaml says which release of a package removed a name, and
`python_packages_since` which brought one. Developers run, from the repository's top:

    python -m tools.knowledge.package_names                  # every package: about 2 GB of downloads
    python -m tools.knowledge.package_names timm diffusers   # some of them
    python -m tools.knowledge.package_names --cache DIR      # keeps what it reads

A claim is true where the release before has the name and the claimed one has not (or the other way round). A wrong one
is printed with the release that is right, found by bisection. Nothing is installed or imported.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from dcnbuild.base.versions import numbers
from tools.knowledge.python_names import Module, public
from tools.knowledge.python_table import module_name, modules_of
from tools.knowledge.wheels import Archive, Wheel, fetch

_TABLES = Path(__file__).parents[2] / "dcnbuild" / "doctor" / "logs" / "lookups" / "tables.yaml"
#: Wheels of more than that are not read; their claims keep the source that they name.
_TOO_LARGE = ("tensorflow", "open3d", "spconv")
_KEEP = r"(?<!/tests)/[^/]+\.pyi?$|^\w+\.py$"
_PYTHONS = ("3.11", "3.9", "3.8", "3.7", "3.13")


@dataclass(frozen=True)
class Names:
    """The names that a release of a package has."""

    texts: dict[str, str]

    @cached_property
    def modules(self) -> dict[str, Module]:
        """Every module, by its full name."""
        return modules_of(self.texts.items())

    def __contains__(self, name: str) -> bool:
        return name in self.modules or any(found(name) for found in (self._own, self._member))

    def _own(self, name: str) -> bool:
        """Whether a module defines or imports it, or names it for a lazy import."""
        scope, _, last = name.rpartition(".")
        module = self.modules.get(scope)
        if module is None:
            return False
        known = {*public(self.modules, scope, 5), *(own for _, _, own in module.imported)}
        return last in known | set(module.names) or f'"{last}"' in self._source(scope)

    def _member(self, name: str) -> bool:
        """Whether a class anywhere has it: "FreeTypeFont.getsize" names no module."""
        owner, _, last = name.rpartition(".")
        owner = owner.rpartition(".")[2]
        return any(last in module.members.get(owner, ()) for module in self.modules.values())

    def _source(self, scope: str) -> str:
        return next((text for path, text in self.texts.items() if module_name(path) == scope), "")


def _pip(*arguments: str) -> str:
    """What pip prints, with the configuration of this machine left out, which may hide releases."""
    return subprocess.run(
        [sys.executable, "-m", "pip", *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
    ).stdout


def releases(package: str) -> list[str]:
    """Each minor release, oldest first, as pip's `==` takes it: "0.20.*"."""
    listed: set[str] = set()
    for python in _PYTHONS:
        said = _pip("index", "versions", package, f"--python-version={python}", "--only-binary=:none:")
        listed |= set(re.findall(r"[\w.]+", said.partition("Available versions:")[2].splitlines()[0]))
    final = sorted((item for item in listed if re.fullmatch(r"[\d.]+", item)), key=numbers)
    minors = dict.fromkeys(".".join(item.split(".")[: _places(package)]) for item in final)
    return [f"{minor}.*" for minor in minors]


def _places(package: str) -> int:
    """How many numbers of a version tell releases apart: 0.4.24 and 0.4.26 of jax differ, 3.8.1 and 3.8.2 do not."""
    return 3 if package in ("jax", "xformers") else 2


def read(package: str, version: str, cache: Path) -> Names | None:
    """The names of a version; None where it has neither a wheel nor an archive of sources."""
    for python in _PYTHONS:
        try:
            archive = fetch(Wheel(package, version, python), cache, _KEEP)
        except subprocess.CalledProcessError:
            continue
        return Names(_wheel_texts(archive))
    kept = cache / f"{package}-{version.replace('*', 'x')}-sdist"
    try:
        if not kept.exists():
            _pip("download", "--quiet", "--no-deps", f"--no-binary={package}", "--no-build-isolation",
                 f"--dest={kept}", f"{package}=={version}")  # fmt: skip
    except subprocess.CalledProcessError:
        return None
    return Names(dict(_sdist_texts(next(kept.iterdir()))))


def _wheel_texts(archive: Archive) -> dict[str, str]:
    return dict(archive.texts(r"\.pyi?$"))


def _sdist_texts(path: Path) -> Iterator[tuple[str, str]]:
    """(path, text) of Python files; the directory of the version, and "src", stand before a package."""

    def inside(name: str) -> str:
        return re.sub(r"^[^/]+/(?:src/)?", "", name)

    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith((".py", ".pyi")):
                    yield inside(name), archive.read(name).decode("utf-8", "replace")
        return
    with tarfile.open(path) as packed:
        for member in packed:
            handle = packed.extractfile(member) if member.name.endswith((".py", ".pyi")) else None
            if handle:
                yield inside(member.name), handle.read().decode("utf-8", "replace")


def claims(package: str, tables: dict[str, dict[str, dict[str, object]]]) -> Iterator[tuple[str, str, bool]]:
    """(name, release, whether that release removed it) of a package."""
    for release, names in tables["python_packages"].get(package, {}).items():
        for name in names if isinstance(names, dict) else ():
            yield name, release, True
    for release, listed in tables["python_packages_since"].get(package, {}).items():
        assert isinstance(listed, list)
        for name in listed:
            yield f"{package}.{name}", release, False


def judge(removed: bool, claimed: str, versions: Sequence[str], has: Callable[[str], bool | None]) -> str:
    """ "" for a true claim, else what is true.

    Args:
        removed: whether the release removed the name; else it brought it.
        claimed: the release, e.g. "0.20".
        versions: the versions to read, oldest first.
        has: whether a version has the name; None where it cannot be read.
    """
    first = next((i for i, item in enumerate(versions) if numbers(item) >= numbers(claimed)), len(versions))
    if first == len(versions):
        return f"there is no release {claimed}"
    new = has(versions[first])
    old = has(versions[first - 1]) if first else None
    if new is None or (first and old is None):
        return "not readable"
    if new == (not removed) and old in (removed, None):
        return "" if old is not None else "no release before it"
    low, high = (first, len(versions) - 1) if new == removed else (0, first - 1)
    if has(versions[high]) == removed:
        return f"the newest, {versions[high]}, {'still has it' if removed else 'lacks it'}"
    if has(versions[low]) != removed:
        return f"already so in the oldest, {versions[low]}"
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if has(versions[middle]) == removed else (low, middle)
    return f"{versions[high]} and not {claimed} (read: {versions[low]}, {versions[high]})"


def check(package: str, cache: Path) -> Iterator[str]:
    """A line for each claim about a package."""
    tables = yaml.safe_load(_TABLES.read_text("utf-8"))
    versions = releases(package)
    seen: dict[str, Names | None] = {}

    def has(name: str, version: str) -> bool | None:
        if version not in seen:
            seen[version] = read(package, version, cache)
        found = seen[version]
        return None if found is None else name in found

    for name, release, removed in claims(package, tables):
        wrong = judge(removed, release, versions, lambda version, name=name: has(name, version))  # type: ignore[misc]
        yield f"{'WRONG' if wrong else 'true '}  {package} {release}: {name}  {wrong}".rstrip()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line: 0 where every claim is true."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("packages", nargs="*")
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args(argv)
    tables = yaml.safe_load(_TABLES.read_text("utf-8"))
    listed = {**tables["python_packages"], **tables["python_packages_since"]}
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="dcnbuild-names-") as folder:
        for package in arguments.packages or [name for name in listed if name not in _TOO_LARGE]:
            for line in check(package, arguments.cache or Path(folder)):
                print(line, flush=True)
                wrong += line.startswith("WRONG")
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
