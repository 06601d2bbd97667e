"""Turns the declarations of each release into one row for each name, with its releases and headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from tools.knowledge.cpp import Declaration, declarations

#: Kind → rank. Of two declarations of one name, the one with the smaller number is kept.
_RANK = {
    "type": 0,
    "function": 1,
    "enumerator": 2,
    "member": 3,
    "variable": 4,
    "name": 5,
    "macro": 6,
}
_MOST_OVERLOADS = 3
_MANY = "many"
_GUARD = re.compile(r"(?:_H|_HPP|_CUH|_INC|_INCLUDED|_H_INCLUDED)_*$", re.IGNORECASE)


@dataclass
class Found:
    """A name in one release."""

    kind: str
    header: str
    component: str
    parameters: tuple[int, int] | None = None
    text: str = ""  # compared from release to release: a signature, a folder

    def merge(self, other: Found) -> None:
        """Merges another declaration of the same name in the same release."""
        if _RANK.get(other.kind, 9) < _RANK.get(self.kind, 9):
            self.kind, self.text, self.parameters = other.kind, other.text, other.parameters
            self.header, self.component = other.header, other.component
            return
        if other.kind != self.kind:
            return
        if _distance(other.header) < _distance(self.header):
            self.header, self.component = other.header, other.component
        if other.parameters and self.parameters:
            self.parameters = (
                min(self.parameters[0], other.parameters[0]),
                max(self.parameters[1], other.parameters[1]),
            )
        if other.text != self.text:  # overloads form one text
            texts = {*self.text.split(" / "), *other.text.split(" / ")} - {""}
            self.text = " / ".join(sorted(texts)) if len(texts) <= _MOST_OVERLOADS else _MANY


def _distance(header: str) -> tuple[int, int, str]:
    private = any(part.startswith("_") or part in ("detail", "impl") for part in header.split("/"))
    private = private or header == "cublas.h"  # the API of CUDA 3, with the same names
    return (private, len(header), header)


@dataclass
class Release:
    """The names of one release by (scope, name)."""

    names: dict[tuple[str, str], Found] = field(default_factory=dict)

    def add(self, scope: str, name: str, found: Found) -> None:
        """Adds a name, or merges another header's declaration of it."""
        known = self.names.get((scope, name))
        if known is None:
            self.names[scope, name] = found
        else:
            known.merge(found)

    def add_header(self, path: str, folder: str, component: str) -> None:
        """Adds a header by its path in `#include` and its folder."""
        directory, _, name = path.rpartition("/")
        self.add(directory, name, Found("header", path, component, None, folder))

    def resolve_names(self) -> None:
        """Gives aliases the kind and members of their targets.

        A macro that only renames a function is that function (cuCtxCreate is cuCtxCreate_v4); the
        members of `typedef struct _frame PyFrameObject` are PyFrameObject's.
        """
        own_names = {
            found.text[2:]: name
            for (_, name), found in self.names.items()
            if found.kind == "type" and found.text.startswith("->_")
        }
        for (scope, name), found in list(self.names.items()):
            if found.kind == "member" and scope in own_names:
                del self.names[scope, name]
                self.add(own_names[scope], name, found)
            if not found.text.startswith("->"):
                continue
            target = self.names.get((scope, found.text[2:]))
            found.text = ""
            if found.kind == "macro" and target is not None and target.kind == "function":
                found.kind, found.parameters, found.text = (
                    "function",
                    target.parameters,
                    target.text,
                )


@lru_cache(maxsize=200_000)
def _declared(text: str) -> tuple[Declaration, ...]:
    return tuple(declarations(text))


def read_header(release: Release, path: str, text: str, component: str) -> None:
    """Adds every name of a header to a release."""
    own = Release()
    for item in _declared(text):
        if item.kind == "macro" and (_GUARD.search(item.name) or item.target == item.name):
            continue
        renames = item.target and item.kind in ("macro", "type")
        note = f"->{item.target}" if renames else item.signature
        own.add(item.scope, item.name, Found(item.kind, path, component, item.parameters, note))
    for (scope, name), found in own.names.items():
        release.add(scope, name, found)


@dataclass(frozen=True)
class Row:
    """A name over all releases, as the table stores it."""

    key: str
    scope: str
    kind: str
    header: str
    component: str
    first: str
    last: str
    parameters: tuple[int, int] | None
    changes: tuple[tuple[str, str], ...]


def rows(releases: Mapping[str, Release]) -> list[Row]:
    """Returns one row for each name, sorted by the name without its scope."""
    found: dict[tuple[str, str], list[tuple[str, Found]]] = {}
    for release, content in releases.items():
        for key, item in content.names.items():
            found.setdefault(key, []).append((release, item))
    return sorted((_row(key, items) for key, items in found.items()), key=lambda row: (row.key, row.scope))


def _row(key: tuple[str, str], items: list[tuple[str, Found]]) -> Row:
    scope, name = key
    last_release, last = items[-1]
    kinds = [item.kind for _, item in items]
    kind = last.kind
    changes: list[tuple[str, str]] = []
    if kind in ("function", "header", "member") and len(set(kinds)) == 1:
        texts = [(release, item.text) for release, item in items]
        if all(text and _MANY not in text for _, text in texts):
            for release, text in texts:
                if not changes or changes[-1][1] != text:
                    changes.append((release, text))
    if len(changes) == 1 and kind != "header":
        changes = []
    return Row(
        key=name,
        scope=scope,
        kind=kind,
        header=last.header,
        component=last.component,
        first=items[0][0],
        last=last_release,
        parameters=last.parameters,
        changes=tuple(changes),
    )


def without(rows: Iterable[Row], pattern: str) -> list[Row]:
    """Returns the rows whose qualified name does not match."""
    unwanted = re.compile(pattern)
    return [row for row in rows if not unwanted.search(f"{row.scope}::{row.key}")]
