"""Finds the archive of this machine's apt, so that dcnbuild can download from other suites of the same archive.

apt itself names it only after `apt-get update`, which needs root; its source lists always exist. sources.list(5)
describes their two formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dcnbuild.machine import files

_SUITES = "buster bullseye bookworm trixie forky duke sid stable testing unstable oldstable"
_KEYRING = Path("usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class AptSource:
    """One archive: `suites` and `components` as listed, `signed_by` in apt's form, or ""."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""


def debian_archive(root: Path = Path("/")) -> AptSource | None:
    """Returns the first source of a Debian release; None if there is none (on Ubuntu, for example).

    Args:
        root: the root of the file system (another directory in tests).
    """
    for source in read_sources(root):
        if set(source.suites) & set(_SUITES.split()) and "main" in source.components:
            return source
    return None


def line_for(source: AptSource, suite: str, root: Path = Path("/")) -> str:
    """Returns a line for a sources.list: the same archive, another suite, and all its sections."""
    signed_by = source.signed_by
    keyring = root / _KEYRING
    if not signed_by and files.is_file(keyring):
        signed_by = str(keyring)
    option = f"[signed-by={signed_by}] " if signed_by else ""
    return f"deb {option}{source.uri} {suite} main contrib non-free\n"


def read_sources(root: Path = Path("/")) -> Iterator[AptSource]:
    """Yields every enabled source of binary packages, in apt's order."""
    directory = root / "etc/apt"
    for path in [
        directory / "sources.list",
        *files.children(directory / "sources.list.d", "*.list"),
    ]:
        for line in (files.read_text(path) or "").splitlines():
            match = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s+([^#]+)", line)
            if match:
                key = re.search(r"signed-by=(\S+)", match[1] or "")
                yield AptSource(
                    uri=match[2],
                    suites=(match[3],),
                    components=tuple(match[4].split()),
                    signed_by=key[1] if key else "",
                )
    for path in files.children(directory / "sources.list.d", "*.sources"):
        for stanza in re.split(r"\n\s*\n", files.read_text(path) or ""):
            fields = _fields(stanza)
            if "deb" not in fields.get("types", "").split() or fields.get("enabled", "") == "no":
                continue
            for uri in fields.get("uris", "").split():
                signed_by = fields.get("signed-by", "")
                yield AptSource(
                    uri=uri,
                    suites=tuple(fields.get("suites", "").split()),
                    components=tuple(fields.get("components", "").split()),
                    # a one-line source cannot contain a key that is written out in the stanza
                    signed_by=signed_by if signed_by.startswith("/") else "",
                )


def _fields(stanza: str) -> dict[str, str]:
    """Returns a deb822 stanza's fields by lower-case names, with continuation lines joined."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            fields[name] = f"{fields.get(name, '')} {line.strip()}".strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields
