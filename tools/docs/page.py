"""Writes pages of docs/ from data, or compares them with the files."""

from __future__ import annotations

import argparse
import difflib
import html
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_CODE = re.compile(r"`([^`]+)`")


def written_by(module: str) -> str:
    """Returns a comment for the page's source, which readers of the page do not see."""
    return f"<!-- Written by `python -m {module}`: change the data, not this page. -->\n"


def entry(id: str, title: str, body: str) -> str:
    """Returns an entry of a long list: one line, which opens, and which links and searches find by its id."""
    heading = _CODE.sub(r"<code>\1</code>", html.escape(title, quote=False))
    if heading != f"<code>{id}</code>":
        heading += f" <code>{id}</code>"
    summary = f'<summary><h3 id="{id}" data-toc-label="{html.escape(title)}">{heading}</h3></summary>'
    return f'<details class="entry" markdown="1">\n{summary}\n\n{body}\n</details>\n'


def main(page: Path, text: Callable[[], str], module: str, argv: Sequence[str] | None = None) -> int:
    """Runs the command line of a module that makes a page; returns the exit status.

    Args:
        page: the page's path, relative to the repository.
        text: makes the page's text.
        module: the module that writes the page, for `python -m`.
        argv: with `--check`, compares instead of writing, and returns 1 if they differ.
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
        difflib.unified_diff(found.splitlines(True), wanted.splitlines(True), str(page), "what would be written")
    )
    print(f"{page} is out of date; run: python -m {module}")
    return 1
