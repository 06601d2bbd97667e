"""Writes the generated tables of dcnbuild/knowledge from the wheels of every release.

Developers run it from the repository's top, with a Python that has pip and PyYAML:

    python -m tools.knowledge                # all tables: about 7 GB of downloads, an hour
    python -m tools.knowledge cuda           # one table
    python -m tools.knowledge gone           # after an edit of written/gone.yaml; so for sonames, owners …
    python -m tools.knowledge --cache DIR    # keeps the files that it reads, so that the next run downloads nothing

Add a new release of CUDA to RELEASES of tools/knowledge/toolkits.py, and one of numpy or setuptools to RELEASES of its
module. torch's releases are those of dcnbuild/machine/compatibility.yaml. CPython is read from pyenv's installations.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.knowledge import (
    cpython_names,
    cuda,
    host_compilers,
    numpy_names,
    setuptools_names,
    standard_headers,
    torch_calls,
    torch_cpp,
    torch_python,
    written_tables,
)

TABLES: dict[str, Callable[[Path, Path], None]] = {
    "cuda_errors": written_tables.generate,
    "gone": written_tables.generate,
    "manylinux": written_tables.generate,
    "modules": written_tables.generate,
    "owners": written_tables.generate,
    "replacements": written_tables.generate,
    "sonames": written_tables.generate,
    "symbol_versions": written_tables.generate,
    "compilers": host_compilers.generate,
    "cuda": cuda.generate,
    "numpy": numpy_names.generate,
    "numpy_c": numpy_names.generate_c,
    "python": cpython_names.generate,
    "python_c": cpython_names.generate_c,
    "setuptools": setuptools_names.generate,
    "standard_headers": standard_headers.generate,
    "torch_calls": torch_calls.generate,
    "torch_cpp": torch_cpp.generate,
    "torch_python": torch_python.generate,
}
_JSON = (
    "compilers",
    "cuda_errors",
    "gone",
    "manylinux",
    "modules",
    "owners",
    "replacements",
    "sonames",
    "standard_headers",
    "symbol_versions",
)
_TARGET = Path(__file__).resolve().parents[2] / "dcnbuild" / "knowledge"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m tools.knowledge",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tables", nargs="*", help=f"which to write: {', '.join(TABLES)}")
    parser.add_argument("--cache", type=Path, help="keep what was read of the wheels here")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.tables) - set(TABLES)
    if unknown:
        parser.error(f"no such table: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="dcnbuild-knowledge-") as folder:
        for name in arguments.tables or TABLES:
            suffix = "json" if name in _JSON else "zip"
            path = _TARGET / f"{name}.{suffix}"
            TABLES[name](arguments.cache or Path(folder), path)
            print(f"{path}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
