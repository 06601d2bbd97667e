"""Pages of docs/ that are made from data: written, or compared with what stands there."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


def written_by(module: str) -> str:
    """A comment for whoever opens the page's source; readers of the page do not see it."""
    return f"<!-- Written by `python -m {module}`: change the data, not this page. -->\n"


def index(rows: Iterable[tuple[str, str]]) -> str:
    """A table that is read from left to right: what the reader sees, and the heading below that explains it."""
    lines = [
        f"| {seen.replace('|', chr(92) + '|')} | [`{heading}`](#{_anchor(heading)}) |"
        for seen, heading in rows
    ]
    return "\n".join(["| | |", "|---|---|", *lines, ""])


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w-]+", "-", heading.lower()).strip("-")


def main(
    page: Path, text: Callable[[], str], module: str, argv: Sequence[str] | None = None
) -> int:
    """The command line of a module that makes a page; returns the exit status.

    Args:
        page: the page, relative to the repository.
        text: makes what should stand there.
        module: what to run with `python -m` to write it.
        argv: `--check` compares instead of writing, and 1 is returned where they differ.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=f"Writes {page}.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    wanted = text()
    if not parser.parse_args(argv).check:
        temporary = page.with_suffix(".md.new")
        temporary.write_text(wanted, encoding="utf-8")
        temporary.replace(page)
        return 0
    found = page.read_text(encoding="utf-8") if page.exists() else ""
    if found == wanted:
        return 0
    sys.stdout.writelines(
        difflib.unified_diff(
            found.splitlines(True), wanted.splitlines(True), str(page), "what would be written"
        )
    )
    print(f"{page} is out of date; run: python -m {module}")
    return 1
