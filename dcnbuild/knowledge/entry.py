"""What a lookup returns: one name and its lifetime."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One name, and the releases in which it stands.

    Attributes:
        name: with its scope, e.g. "cub::TransformInputIterator", "cudaDeviceProp::clockRate",
            "torch.symeig", or a header as `#include` names it.
        kind: "function", "macro", "type", "enumerator", "variable", "member" (of a class), "name"
            (brought in by a using declaration), "header", "module", "class" or "attribute".
        header: the header to include for it, as of `last`; for Python the module; "" if not known.
        first: the oldest release that was read in which it stands.
        last: the newest one.
        added: `first`, if an older release was read in which it did not stand; otherwise None.
        removed: the first release that was read after `last`; None if it stands in the newest one.
        source: what was read, "package version", for `last`.
        replacement: what to write today, "" for "drop it"; None if that is not known.
        replacement_source: who says so.
        note: what else to know of it; "" for nothing.
        parameters: (least, most) arguments of a function or macro as of `last`; most is 99 for "any
            number"; None if not known.
        changes: (release, signature) for each release in which the types of a function's parameters
            changed, oldest first; for a header (release, folder) for each folder that it lay in.
    """

    name: str
    kind: str
    header: str
    first: str
    last: str
    added: str | None
    removed: str | None
    source: str
    replacement: str | None = None
    replacement_source: str = ""
    note: str = ""
    parameters: tuple[int, int] | None = None
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def scope(self) -> str:
        """What stands before the last part of the name: "cub" of "cub::Max"; "" for nothing."""
        separator = "/" if self.kind == "header" else "::" if "::" in self.name else "."
        return self.name.rpartition(separator)[0]


def just(found: Iterable[Entry], name: str) -> Entry | None:
    """The first entry of a lookup whose whole name is this one, not only the end of it."""
    return next((entry for entry in found if entry.name == name), None)
