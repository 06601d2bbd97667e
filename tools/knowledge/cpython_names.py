"""Makes the tables of CPython's standard library and C API, from installed Pythons."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from dcnbuild.base.versions import numbers
from tools.knowledge.lifetimes import Release, read_header, rows
from tools.knowledge.python_names import public
from tools.knowledge.python_table import add, add_names, is_public_row, module_name, modules_of
from tools.knowledge.table import Source, write

#: A directory with one installation for each release, as pyenv makes it.
PYTHONS = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
_PRIVATE = re.compile(
    r"(?:^|/)(?:test|tests|idlelib|lib2to3|turtledemo|site-packages|tkinter|curses|turtle\.py|pydoc_data|ensurepip|lib-dynload|__pycache__|config-\S+|encodings)(?:/|$)"
)


def installations() -> dict[str, tuple[str, Path]]:
    """Returns release → (version, directory), oldest first. Raises FileNotFoundError if there are none."""
    found = {}
    for path in sorted(PYTHONS.glob("3.*"), key=lambda path: numbers(path.name)):
        release = ".".join(path.name.split(".")[:2])
        if list(path.glob("include/python3*/Python.h")):
            found[release] = (path.name, path)
    if not found:
        raise FileNotFoundError(f"{PYTHONS} holds no Python; set PYENV_ROOT")
    return found


def generate(cache: Path, target: Path) -> None:
    """Writes the table of the standard library; nothing is downloaded."""
    releases: dict[str, Release] = {}
    sources = []
    for name, (version, where) in installations().items():
        releases[name] = release = Release()
        sources.append(Source(name, "CPython", f"CPython {version}"))
        library = where / f"lib/python{name}"
        paths = [str(path.relative_to(library)) for path in sorted(library.rglob("*.py"))]
        texts = []
        for path in paths:
            module = module_name(path)
            if not module or _PRIVATE.search(path):
                continue
            add(release, module, "module", "CPython")
            texts.append((path, (library / path).read_text("utf-8", "replace")))
        for module, names in _written_in_c(where / "bin/python3").items():
            add(release, module, "module", "CPython")
            for key in names:
                add(release, f"{module}.{key}", "attribute", "CPython")
        modules = modules_of(texts)
        add_names(release, modules, "CPython", _is_public, lambda name: False)
        if "__getattr__" in modules["collections"].names:  # 3.7 to 3.9 provide the old names by it
            for key in public(modules, "_collections_abc"):
                add(release, f"collections.{key}", "class", "CPython")
    write(target, list(releases), sources, [row for row in rows(releases) if is_public_row(row)])


def _written_in_c(python: Path) -> dict[str, list[str]]:
    """Returns the public modules without Python source, and their names."""
    script = (
        "import importlib, json, sys, sysconfig; from pathlib import Path\n"
        "shared = Path(sysconfig.get_path('platstdlib'), 'lib-dynload').glob('*.so')\n"
        "names = {*sys.builtin_module_names, *(path.name.split('.')[0] for path in shared)}\n"
        "found = {}\n"
        "for name in sorted(names):\n"
        "    if name[0] != '_' and not name.startswith('xx'):\n"
        "        try: found[name] = dir(importlib.import_module(name))\n"
        "        except ImportError: found[name] = []\n"
        "print(json.dumps(found))"
    )
    run = subprocess.run([str(python), "-W", "ignore", "-c", script], check=True, capture_output=True, text=True)
    found: dict[str, list[str]] = json.loads(run.stdout)
    return found


def _is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split("."))


def generate_c(cache: Path, target: Path) -> None:
    """Writes the table of the C API; nothing is downloaded."""
    releases: dict[str, Release] = {}
    sources = []
    for name, (version, where) in installations().items():
        releases[name] = release = Release()
        sources.append(Source(name, "CPython", f"CPython {version}"))
        folder = next(where.glob("include/python3*/Python.h")).parent
        for path in sorted(folder.rglob("*.h")):
            header = str(path.relative_to(folder))
            release.add_header(header, folder.name, "CPython")
            if not header.startswith("internal/") and header != "pyconfig.h":
                read_header(release, header, path.read_text("utf-8", "replace"), "CPython")
        release.resolve_names()
    write(target, list(releases), sources, rows(releases))
