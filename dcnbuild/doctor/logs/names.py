"""What is known of a name that a source uses: its header, when it went, what stands for it.

Asks the generated tables of CUDA's and torch's releases, and names.yaml, which has what no header says.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

_TABLE = Path(__file__).with_name("names.yaml")
#: Headers of C, whose names are declared outside of `std` too.
_C_HEADERS = re.compile(r"c(?:stdint|string|stdio|stdlib|math|assert|float|limits|stddef)|unistd\.h")


class Gone(NamedTuple):
    """Since when a name is gone, e.g. "CUDA 13", and what stands for it, "" where that is not known."""

    since: str
    today: str


@cache
def _table() -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    table: dict[str, Any] = yaml.load(_TABLE.read_text(encoding="utf-8"), Loader=loader)
    return table


@cache
def _headers() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for header, names in _table()["include"].items():
        for name in names:
            found.setdefault(name, []).append(header)
    return found


def split(name: str, owner: str = "") -> tuple[str, str]:
    """(owner, name): "at::cuda::f" → ("at::cuda", "f")."""
    scope, _, last = name.strip(":").rpartition("::")
    return scope or owner, last


def header_of(name: str, owner: str = "") -> str | None:
    """The header that declares a name, as an #include has it; None where that is not known."""
    owner, name = split(name, owner)
    for header in _headers().get(name, ()):
        ours = not re.match(r"(?:ATen|c10|torch|pybind11|thrust|cu|cooperative)", header)
        if header.startswith("thrust/"):
            fits = owner == "thrust"
        elif ours:
            fits = owner == "std" or (not owner and bool(_C_HEADERS.fullmatch(header)))
        else:
            fits = owner.split("::")[0] in ("", "at", "c10", "torch", "cooperative_groups", "cg")
        if fits:
            return header
    return None


def gone(name: str, owner: str = "") -> Gone | None:
    """Since when a name is gone; None for one that is not known to be."""
    owner, name = split(name, owner)
    table = _table()["gone"]
    for scope in (owner, owner.split("::")[0]):
        found = table.get(scope, {}).get(name)
        if found:
            return Gone(*found)
    return None


def changed(name: str) -> Gone | None:
    """Since when a function takes other arguments, and which; None for one that is not known to."""
    name = re.sub(r"_v\d+$", "", split(name)[1])
    found = _table()["changed"].get(name)
    return Gone(*found) if found else None


def without_in_python(name: str) -> str | None:
    """The Python whose C API no longer has, or no longer shows, a name: "PyFrameObject" → "3.11"."""
    found: str | None = _table()["python"].get(split(name)[1])
    return found


_IDENTIFIER = re.compile(r"#include\s*[<\"]([^>\"]+)|((?:\w+::)*[A-Za-z_]\w*)")


@cache
def _ported() -> frozenset[str]:
    from dcnbuild.port.rules import RULES  # here: only a log with such a name pays for it

    found: set[str] = set()
    for rule in RULES:
        before, after = (
            {header or name for header, name in _IDENTIFIER.findall(text)}
            for text in (rule.before, rule.after)
        )
        found |= before - after
    return frozenset(found)


def ported(name: str, owner: str = "") -> bool:
    """Whether `dcnbuild port` has a rule that replaces a name or a header."""
    full = f"{owner}::{name}" if owner else name
    return full in _ported() or (not owner and name in _ported())
