"""Reads a generated table.

A table is a zip archive. Its member `META` is JSON: "releases" (oldest first), "components" (name →
release → "package version") and "headers" (pairs of an include path and the index of a component).
Every other member holds rows, one a line, sorted by their first field, and is named after its first
row's, so that a name is found in one member. The fields, separated by tabs: the name without its
scope, the scope, the kind (a letter of KINDS), the index of its header (of its component, for a
header itself), the indices of its first and last release, the least and most parameters ("2-3"), and
its changes ("4=int|7=int,int": from release 4 on, from release 7 on). Empty fields at the end are
left out.
"""

from __future__ import annotations

import bisect
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from dcnbuild.knowledge.entry import Entry

META = "\x01meta"  # sorts before every name
KINDS = {
    "attribute": "a",
    "class": "c",
    "enumerator": "e",
    "function": "f",
    "header": "h",
    "macro": "m",
    "member": "d",
    "module": "o",
    "name": "n",
    "type": "t",
    "variable": "v",
}
_KIND_OF = {letter: kind for kind, letter in KINDS.items()}

#: Inline namespaces that demangled names show and sources do not: cub::CUB_200700_750_NS::, std::__4::.
_INLINE = re.compile(r"\b(?:(?:CUB|THRUST)_\w+_NS|__\d+|V\d+|_V_\d+|__cxx11|__CUDACC__\w*)::")


class Table:
    """One generated table, read member by member.

    Args:
        path: the archive.
        separator: between the parts of a name, "::" or ".".
        complete: adds to an entry what a person wrote of it, a replacement for instance.
    """

    def __init__(self, path: Path, separator: str, complete: Callable[[Entry], Entry] = lambda entry: entry) -> None:
        self.path = path
        self.separator = separator
        self.complete = complete
        self._members = lru_cache(maxsize=None)(self._rows)

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        """The archive, in memory: its directory is read once, and no file stays open."""
        return zipfile.ZipFile(io.BytesIO(self.path.read_bytes()))

    @cached_property
    def _meta(self) -> dict[str, Any]:
        meta: dict[str, Any] = json.loads(self._archive.read(META))
        meta["members"] = [name for name in self._archive.namelist() if name != META]
        return meta

    @property
    def releases(self) -> tuple[str, ...]:
        """Every release that was read, oldest first."""
        return tuple(self._meta["releases"])

    @property
    def components(self) -> dict[str, dict[str, str]]:
        """What was read: the parts of the product, and for each its releases' wheels."""
        return dict(self._meta["components"])

    def find(self, name: str) -> list[Entry]:
        """Every entry of a name, with or without its scope.

        Template arguments, a leading "::", inline namespaces and a call's brackets are ignored. A
        name with a scope finds entries whose scope ends in it: "Tensor::type" finds
        "at::Tensor::type".
        """
        scope, key = self._split(name)
        found = [entry for entry in self._of_key(key) if _fits(entry.scope, scope, self.separator)]
        return [self.complete(entry) for entry in found]

    def find_header(self, path: str) -> list[Entry]:
        """Every header with this path, or this end of a path, e.g. "nvToolsExt.h"."""
        scope, _, key = path.replace("\\", "/").strip("<>\"' ").rpartition("/")
        found = [entry for entry in self._of_key(key) if entry.kind == "header"]
        return [
            self.complete(entry)
            for entry in found
            if entry.scope == scope or entry.scope.endswith(f"/{scope}") or not scope
        ]

    def entries(self) -> Iterator[Entry]:
        """All of the table, in order. This reads everything; for tests and lists."""
        for member in self._meta["members"]:
            for row in self._members(member):
                yield self.complete(self._entry(row.split("\t")))

    def _split(self, name: str) -> tuple[str, str]:
        name = _INLINE.sub("", re.sub(r"<.*", "", name.strip())).split("(")[0].strip()
        scope, _, key = name.strip(self.separator[0]).rpartition(self.separator)
        return scope, key

    def _of_key(self, key: str) -> list[Entry]:
        members = self._meta["members"]
        at = bisect.bisect_right(members, key) - 1
        if not key or at < 0:
            return []
        lines = self._members(members[at])
        found = []
        at = bisect.bisect_left(lines, key + "\t")
        while at < len(lines) and lines[at].startswith(key + "\t"):
            found.append(self._entry(lines[at].split("\t")))
            at += 1
        return found

    def _rows(self, member: str) -> list[str]:
        return self._archive.read(member).decode().split("\n")

    def _entry(self, fields: list[str]) -> Entry:
        key, scope, letter, place, first, last, parameters, changes = [*fields, "", ""][:8]
        kind = _KIND_OF[letter]
        components = list(self._meta["components"].items())
        releases = self._meta["releases"]
        separator = "/" if kind == "header" else self.separator
        name = f"{scope}{separator}{key}" if scope else key
        if kind == "header":
            header, component = name, int(place)
        else:
            header, component = self._meta["headers"][int(place)]
        wheels = components[component][1]
        read = list(wheels)
        since, until = releases[int(first)], releases[int(last)]
        rest = read[read.index(until) + 1 :]
        counts = [int(count) for count in parameters.split("-") if count]
        return Entry(
            name=name,
            kind=kind,
            header=header,
            first=since,
            last=until,
            added=since if since in read[1:] else None,
            removed=rest[0] if rest else None,
            source=wheels[until],
            parameters=(counts[0], counts[-1]) if counts else None,
            changes=tuple(_change(item, releases) for item in changes.split("|") if item),
        )


def _change(text: str, releases: list[str]) -> tuple[str, str]:
    release, _, value = text.partition("=")
    return releases[int(release)], value


def _fits(scope: str, wanted: str, separator: str) -> bool:
    return not wanted or scope == wanted or scope.endswith(separator + wanted)
