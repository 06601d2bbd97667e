"""Guesses the directory that a path to a missing directory was meant to name."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from dcnbuild.machine import files

#: The least similarity of a misspelt name and the meant name. "lcoal" and "local" have 0.8.
_ALIKE = 0.75


def meant_directory(text: str) -> Path | None:
    """Returns the existing directory that a wrong entry probably means; None if none is similar.

    It corrects quotes and blanks around the entry, a `~` that no shell has expanded, lib for lib64, and misspelt names.
    A name that differs in a digit is another version, not a misspelling.
    """
    try:
        cleaned = os.path.expanduser(text.strip(" \t\"'")).rstrip(" \t\"'")
    except ValueError:  # the text has characters that are impossible in a path
        return None
    if not cleaned.startswith(os.sep) or "\0" in cleaned:
        return None
    found = Path(os.sep)
    for name in [part for part in cleaned.split(os.sep) if part]:
        if files.is_dir(found / name):
            found = found / name
            continue
        siblings = [child.name for child in files.children(found) if files.is_dir(child)]
        near = _nearest(name, siblings)
        if near is None:
            return None
        found = found / near
    return found if str(found) != text else None


def _nearest(name: str, candidates: list[str]) -> str | None:
    if name in ("lib", "lib64"):
        other = "lib" if name == "lib64" else "lib64"
        if other in candidates:
            return other
    digits = re.findall(r"\d+", name)
    same = [candidate for candidate in candidates if re.findall(r"\d+", candidate) == digits]
    if len(name) < 3:
        return None
    return next(iter(difflib.get_close_matches(name, same, n=1, cutoff=_ALIKE)), None)
