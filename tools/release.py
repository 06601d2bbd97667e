"""Prints the CHANGELOG's section of a tag: `python -m tools.release notes v0.1.0`.

Ends with status 1 if the tag is not the version of the package, or its section is missing, empty or still called
unreleased.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from dcnbuild._version import __version__

CHANGELOG = Path(__file__).resolve().parents[1] / "CHANGELOG.md"


class ReleaseError(ValueError):
    """This tag cannot be released; the text says why."""


def notes(tag: str, changelog: str, version: str) -> str:
    """Returns the section of a tag. Raises ReleaseError."""
    if tag != f"v{version}":
        raise ReleaseError(f"the tag is {tag}, and the package is {version}: expected v{version}")
    sections = re.split(r"^## (.+)$", changelog, flags=re.MULTILINE)
    titles = dict(zip(sections[1::2], sections[2::2]))
    title = next((item for item in titles if item.split()[0] == version), None)
    if title is None:
        raise ReleaseError(f"CHANGELOG.md has no section {version}")
    if "unreleased" in title:
        raise ReleaseError(f"CHANGELOG.md calls {version} unreleased: write its date")
    text = titles[title].strip()
    if not text:
        raise ReleaseError(f"the section {version} of CHANGELOG.md is empty")
    return text


def main(argv: Sequence[str]) -> int:
    """Runs the command line; returns the exit status."""
    if len(argv) != 2 or argv[0] != "notes":
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(notes(argv[1], CHANGELOG.read_text(encoding="utf-8"), __version__))
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
