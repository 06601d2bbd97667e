"""Writes the generated tables of dcnbuild/knowledge from the wheels of every release.

Developers run it from the repository's top, with a Python that has pip and PyYAML:

    python -m tools.knowledge                # all tables: about 7 GB of downloads, an hour
    python -m tools.knowledge cuda           # one
    python -m tools.knowledge --cache DIR    # keep what was read, so that the next run downloads nothing

A new release of CUDA goes into RELEASES of tools/knowledge/toolkits.py; one of torch is taken from
dcnbuild/compatibility.yaml.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.knowledge import cuda, torch_cpp, torch_python

TABLES: dict[str, Callable[[Path, Path], None]] = {
    "cuda": cuda.generate,
    "torch_cpp": torch_cpp.generate,
    "torch_python": torch_python.generate,
}
_TARGET = Path(__file__).resolve().parents[2] / "dcnbuild" / "knowledge"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
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
            path = _TARGET / f"{name}.zip"
            TABLES[name](arguments.cache or Path(folder), path)
            print(f"{path}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
