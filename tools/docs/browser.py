"""Puts what docs/what-broke.md runs beside the built site: Pyodide, and a bundle of the doctor's Python.

    python -m tools.docs.browser site

Pyodide comes from the npm registry. Where there is no npm, or it fails, this says so and exits with 0: the page then
tells its readers to run the doctor on their machine.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
#: Its Python is 3.13. A newer one is taken after the check of `check_browser.mjs` ran with it.
PYODIDE = "0.28.3"
_FILES = (
    "pyodide.mjs",
    "pyodide.asm.js",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
)
_PARTS = ("base", "doctor", "knowledge", "machine", "port")
_SHIPPED = {".py", ".json", ".tsv", ".zip"}
#: Tables of the bundle are literals of Python: PyYAML takes seconds for them there, and needs more stack than it has.
_YAML = '''"""Reads the tables of this bundle, which are literals of Python."""

_NAMES = {"__builtins__": {}, "inf": float("inf"), "nan": float("nan")}  # what repr() writes and is no literal


class SafeLoader:
    pass


class YAMLError(ValueError):
    pass


def load(text, Loader=None):
    return eval(text, _NAMES)


def parse(text, Loader=None):
    return iter(())  # what is checked for in files of users is not in these tables


safe_load = load
'''


def _files() -> Iterator[tuple[str, bytes]]:
    package = ROOT / "dcnbuild"
    for path in (package, *(package / part for part in _PARTS)):
        for file in sorted(path.glob("*") if path == package else path.rglob("*")):
            name = str(file.relative_to(ROOT))
            if file.suffix == ".yaml":
                # the reader in Python, which takes less than libyaml: not every PyYAML has that
                yield name, repr(yaml.safe_load(file.read_text(encoding="utf-8"))).encode()
            elif file.suffix in _SHIPPED and file.is_file():
                yield name, file.read_bytes()
    yield "yaml.py", _YAML.encode()
    yield "in_browser.py", Path(__file__).with_name("in_browser.py").read_bytes()
    packaging = importlib.util.find_spec("packaging")
    assert packaging is not None and packaging.origin is not None
    for file in sorted(Path(packaging.origin).parent.rglob("*.py")):
        yield f"packaging/{file.relative_to(Path(packaging.origin).parent)}", file.read_bytes()


def bundle(target: Path) -> None:
    """Writes the doctor's Python and its tables as a zip archive."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _files():
            # of one date, so that the same sources make the same archive
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def pyodide(target: Path) -> str:
    """Copies Pyodide there; returns why that is not possible, "" where it was."""
    npm = shutil.which("npm")
    if npm is None:
        return "there is no npm"
    with tempfile.TemporaryDirectory() as folder:
        words = ("install", "--no-audit", "--no-fund", "--ignore-scripts", f"pyodide@{PYODIDE}")
        done = subprocess.run([npm, *words, "--prefix", folder], capture_output=True, text=True, check=False)
        if done.returncode:
            return f"npm fails: {done.stderr.strip()[-300:]}"
        for name in _FILES:
            shutil.copy(Path(folder) / "node_modules" / "pyodide" / name, target / name)
    return ""


def main() -> int:
    """The command line: the directory of the built site."""
    target = Path(sys.argv[1]) / "browser"
    target.mkdir(parents=True, exist_ok=True)
    bundle(target / "doctor.zip")
    problem = pyodide(target)
    if problem:
        print(f"WARNING: the page of the doctor does not work in this build of the site: {problem}")
    else:
        print(f"Pyodide {PYODIDE} and the doctor are in {target}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
