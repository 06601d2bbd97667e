"""What ATen's operators and a tensor's methods take: every overload of one release, from its headers.

`torch_cpp` says since when a function has the parameters that it has; this says what they are where it has many
forms. A type is written in short: "Tensor", "int", "[int]" for an IntArrayRef, "ScalarType?" for an optional.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dcnbuild.base.plain_yaml import beside

#: The release that was read, and the archive's member.
RELEASE = "2.14"
MEMBER = "calls"
_WRITTEN = beside(__file__, "torch_calls.yaml")
_TAKEN: dict[str, list[str]] = _WRITTEN["fits"]
_KNOWN = frozenset().union(*_TAKEN.values())


@dataclass(frozen=True)
class Form:
    """One overload: the types of its parameters, and how many of them have no default."""

    types: tuple[str, ...]
    least: int

    def takes(self, kinds: Sequence[str]) -> bool:
        """Whether it may be called with arguments of these kinds."""
        counted = self.least <= len(kinds) <= len(self.types)
        return counted and all(map(_fits, self.types, kinds))


def forms(name: str) -> tuple[Form, ...]:
    """The overloads of "at::linspace", "torch::linspace" or "at::Tensor::sum"; none where a template is among them."""
    heads = [line.split(":") for line in _of(name)[1:]]
    return tuple(Form(tuple(filter(None, types.split(","))), int(least)) for least, types in heads)


def returns(name: str) -> str:
    """What it gives: a "tensor", "tensors" (a vector), a "tuple" of them, or something "other"; "" if unknown."""
    return _of(name)[0]


def _of(name: str) -> list[str]:
    space, _, rest = name.partition("::")
    return _table().get(rest, [""]) if space in ("at", "torch") else [""]


def _fits(type: str, kind: str) -> bool:
    """Whether a parameter takes an argument; what is not known of either does."""
    bare = type.removesuffix("?")
    return bare not in _KNOWN or bare in _TAKEN.get(kind, _KNOWN)


@cache
def _table() -> dict[str, list[str]]:
    with zipfile.ZipFile(Path(__file__).with_suffix(".zip")) as archive:
        lines = archive.read(MEMBER).decode().splitlines()
    read = {name: found for name, *found in (line.split("\t") for line in lines)}
    return read | {name: ["other", *found] for name, found in _WRITTEN["constructors"].items()}
