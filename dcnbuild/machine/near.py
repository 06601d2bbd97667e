"""The directory that a path which does not exist was probably meant to be."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from dcnbuild.machine import files

#: How alike a misspelt name and the name that was meant are. "lcoal" and "local" have 0.8.
_ALIKE = 0.75


def meant_directory(text: str) -> Path | None:
    """The existing directory that a wrong entry was probably meant to be; None if nothing is near.

    Mends quotes and blanks around the entry, a `~` that no shell has expanded, lib against lib64,
    and misspelt names; a name that differs in a digit is another version, not a misspelling.
    """
    try:
        cleaned = os.path.expanduser(text.strip(" \t\"'")).rstrip(" \t\"'")
    except ValueError:  # characters that no path can have
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
