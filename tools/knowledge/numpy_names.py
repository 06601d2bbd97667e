"""Makes the tables of numpy's Python names and C API."""

from __future__ import annotations

import re
from pathlib import Path

from tools.knowledge.lifetimes import Release, read_header, rows
from tools.knowledge.python_table import add, add_names, is_public_row, module_name, modules_of
from tools.knowledge.table import Source, write
from tools.knowledge.wheels import Archive, Wheel, fetch

#: Minor release → a CPython that it has wheels for.
RELEASES = {
    **dict.fromkeys(("1.17", "1.18", "1.19"), "3.8"),
    **dict.fromkeys(("1.20", "1.21", "1.22", "1.23", "1.24"), "3.9"),
    **dict.fromkeys(("1.25", "1.26", "2.0", "2.1", "2.2"), "3.11"),
    **dict.fromkeys(("2.3", "2.4"), "3.12"),
}
_KEEP = r"/include/numpy/.*\.h$|^numpy/(?!tests/|.*/tests/|distutils/|f2py/)\S+\.pyi?$"
_PUBLIC = re.compile(
    r"numpy(?:\.(?:linalg|fft|random|lib|ma|matlib|core|ctypeslib|dtypes|exceptions|testing|typing|compat|polynomial|strings|rec|char|emath)"
    r"(?:\.[a-z]\w*)?)?"
)


def archives(cache: Path) -> dict[str, Archive]:
    """Returns the newest wheel of each minor release."""
    return {
        release: fetch(Wheel("numpy", f"{release}.*", python, "macosx_13_0_x86_64"), cache, _KEEP)
        for release, python in RELEASES.items()
    }


def generate(cache: Path, target: Path) -> None:
    """Writes the table of Python names."""
    releases: dict[str, Release] = {}
    sources = []
    for name, archive in archives(cache).items():
        releases[name] = release = Release()
        sources.append(Source(name, "numpy", archive.name))
        texts = dict(archive.texts(r"\.pyi?$"))
        modules = modules_of(texts.items())
        for path in archive.listing():
            module = module_name(path)
            if module and ".tests" not in module:
                add(release, module, "module", "numpy")
        add_names(release, modules, "numpy", _PUBLIC.fullmatch, re.compile("numpy").fullmatch)
        for key in _deprecated(texts["numpy/__init__.py"]):
            add(release, f"numpy.{key}", "attribute", "numpy")
    write(target, list(RELEASES), sources, [row for row in rows(releases) if is_public_row(row)])


def _deprecated(text: str) -> list[str]:
    """Returns the aliases such as np.float, which numpy/__init__.py provides until 1.23.

    Until 1.19 it imports them from builtins; from 1.20 to 1.23 it has them in __deprecated_attrs__.
    """
    found = re.findall(r"^\s*from builtins import ([\w, ]+)$", text, re.MULTILINE)
    names = [name.strip() for line in found for name in line.split(",")]
    if "__deprecated_attrs__.update" in text and "__former_attrs__" not in text:
        names += [*re.findall(r"^\s*\(\"(\w+)\", ", text, re.MULTILINE), "long", "unicode"]
    return names


def generate_c(cache: Path, target: Path) -> None:
    """Writes the table of the C API."""
    releases: dict[str, Release] = {}
    sources = []
    for name, archive in archives(cache).items():
        releases[name] = release = Release()
        sources.append(Source(name, "numpy", archive.name))
        for path, text in archive.texts(r"/include/numpy/.*\.h$"):
            folder, _, rest = path.partition("/include/")
            release.add_header(rest, f"{folder}/include", "numpy")
            read_header(release, rest, text, "numpy")
        release.resolve_names()
    write(target, list(RELEASES), sources, rows(releases))
