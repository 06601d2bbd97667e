"""What the stable ABI of a torch release has: the names in its headers, from `dcnbuild.knowledge`.

A name counts if it stands in torch/csrc/stable, torch/headeronly or the C shims of that release, so
that the result compiles with the headers of that release and of every later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from dcnbuild.base.versions import numbers
from dcnbuild.knowledge import torch_cpp

#: Headers that the stable ABI consists of; c10's are only forwarders to torch/headeronly.
HEADERS = ("torch/csrc/stable/", "torch/headeronly/", "torch/csrc/inductor/aoti_torch/c/")
#: TORCH_BOX and most of the operators came with it: older releases have too little to port to.
OLDEST = "2.10"


def targets() -> tuple[str, ...]:
    """The releases that can be ported to, oldest first."""
    oldest = numbers(OLDEST)
    return tuple(r for r in torch_cpp.TABLE.releases if numbers(r) >= oldest)


@dataclass(frozen=True)
class Target:
    """The stable ABI of one torch release, e.g. Target("2.10")."""

    release: str = OLDEST

    @property
    def macro(self) -> str:
        """The value of TORCH_TARGET_VERSION: a byte for the major release, one for the minor."""
        major, minor = numbers(self.release)[:2]
        return f"0x{major:02x}{minor:02x}000000000000"

    def has(self, name: str, *kinds: str) -> bool:
        """Whether its headers have a name of one of these kinds ("function", "macro", "member" …)."""
        return _first(name, kinds) <= numbers(self.release)

    def has_header(self, path: str) -> bool:
        """Whether it has a header at this path."""
        found = [e for e in torch_cpp.TABLE.find_header(path) if e.name == path]
        since = [dict((folder, r) for r, folder in e.changes) for e in found]  # noqa: C402
        firsts = [dates.get(path.rpartition("/")[0], e.first) for e, dates in zip(found, since, strict=True)]
        return any(numbers(first) <= numbers(self.release) for first in firsts)


#: Functions that the table leaves out for their last sign. Source: the comments in ops.h of torch 2.10,
#: "Minimum compatible version: PyTorch 2.9".
_IN_PLACE = dict.fromkeys(("fill_", "zero_", "copy_"), (2, 9))


@lru_cache(maxsize=4096)
def _first(name: str, kinds: tuple[str, ...]) -> tuple[int, ...]:
    """The release that first has a name in a stable header; a very late one if none has."""
    found = [
        numbers(entry.first)
        for entry in torch_cpp.TABLE.find(name)
        if entry.kind in kinds and entry.header.startswith(HEADERS)
    ]
    return min(found, default=_IN_PLACE.get(name, (99,)))
