"""What is known of a name that a source uses: its header, when it went, what stands for it.

Asks the generated tables of CUDA's and torch's releases, and names.yaml, which has what no header says.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import numbers
from dcnbuild.knowledge import cuda, python, torch_cpp
from dcnbuild.knowledge.entry import Entry


def rows(section: str) -> Any:
    """A section of names.yaml."""
    return plain_yaml.beside(__file__, "names.yaml")[section]


def is_of_c(header: str) -> bool:
    """Whether a header is of C: its names are declared outside of `std` too."""
    return bool(re.fullmatch("|".join(rows("c_headers")), header))


class Name(NamedTuple):
    """A name, and the namespace or class that it was looked for in, "" for none."""

    scope: str
    last: str

    @property
    def full(self) -> str:
        """As it would be written."""
        return f"{self.scope}::{self.last}" if self.scope else self.last


class Gone(NamedTuple):
    """Since when a name is gone, e.g. "CUDA 13", and what stands for it, "" where that is not known."""

    since: str
    today: str


@cache
def _headers() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for header, names in rows("include").items():
        for name in names:
            found.setdefault(name, []).append(header)
    return found


def _c_header(name: str) -> str | None:
    """The header of C that declares a name or defines a macro: "FLT_MAX" is of cfloat."""
    listed = (header for header in _headers().get(name, ()) if is_of_c(header))
    like = rows("include_like").items()
    return next(listed, next((header for header, macro in like if re.fullmatch(macro, name)), None))


def split(name: str, owner: str = "") -> Name:
    """(scope, last): "at::cuda::f" → ("at::cuda", "f")."""
    scope, _, last = name.strip(":").rpartition("::")
    return Name(scope or owner, last)


def header_of(name: str, owner: str = "") -> str | None:
    """The header that declares a name, as an #include has it; None where that is not known."""
    owner, name = split(name, owner)
    for header in _headers().get(name, ()):
        ours = not re.match(r"(?:ATen|c10|torch|pybind11|thrust|cu|cooperative)", header)
        if header.startswith("thrust/"):
            fits = owner == "thrust"
        elif ours:
            fits = owner == "std" or (not owner and is_of_c(header))
        else:
            fits = owner.split("::")[0] in ("", "at", "c10", "torch", "cooperative_groups", "cg")
        if fits:
            return header
    if owner in ("", "std") and _c_header(name):
        return _c_header(name)
    here = [entry for entry in _entries(name, owner) if not entry.removed and entry.kind != "member"]
    if not here and re.fullmatch(r"(?:at|c10|torch)(?:::[a-z]\w*)*", owner):
        # a name that moved from one of torch's namespaces to another, with a using declaration in a header
        here = [entry for entry in torch_cpp.find(name) if not entry.removed and entry.kind != "member"]
    return rows("public").get(here[0].header, here[0].header) or None if here else None


def renamed(name: str, owner: str = "") -> str:
    """What torch calls a name today that it still has under its old one: "c10::nullopt" → "std::nullopt"."""
    owner, name = split(name, owner)
    return next((entry.replacement for entry in _entries(name, owner) if entry.replacement and not entry.removed), "")


def gone(name: str, owner: str = "") -> Gone | None:
    """Since when a name is gone; None for one that is not known to be."""
    owner, name = split(name, owner)
    table = rows("gone")
    for scope in (owner, owner.split("::")[0]):
        found = table.get(scope, {}).get(name)
        if found:
            return Gone(*found)
    entries = _entries(name, owner)
    like = next((row for row in rows("gone_like") if re.fullmatch(row[0], name)), None)
    if like and not owner and not any(entry.removed is None for entry in entries):
        return Gone(like[1], re.sub(like[0], like[2], name))
    if not entries or not all(entry.removed for entry in entries):
        return None
    entry = entries[0]
    product = "torch" if re.match(_TORCH, entry.header) else "CUDA"
    elsewhere = torch_cpp.find(name) if product == "torch" else []
    if any(other.removed is None and other.kind != "member" for other in elsewhere):
        return None  # it moved to another namespace, and only its header is not included
    today = entry.replacement
    since = f"{product} {(entry.removed or '').removesuffix('.0') if product == 'CUDA' else entry.removed}"
    return Gone(since, "none, remove it" if today == "" else today or "")


def added(name: str, owner: str, toolkit: str, torch: str) -> str:
    """The first release of CUDA or torch that has a name, "torch 2.1", where the one in use is older; "" if none is.

    A class of torch that lacks its member is of an older torch, whichever: no #include brings members.
    """
    scope, last = split(name, owner)
    if not scope and _c_header(last):
        return ""  # a header of CUDA that defines it as well is not where it comes from
    entries = _entries(last, scope)
    since = [entry.added for entry in entries if entry.added]
    if not since or len(since) < len(entries):
        return ""
    first = min(since, key=numbers)
    product, used = ("torch", torch) if re.match(_TORCH, entries[0].header) else ("CUDA", toolkit)
    certain = product == "torch" and not torch and entries[0].kind == "member"
    return f"{product} {first}" if certain or (used and numbers(first) > numbers(used)) else ""


def known(name: str, owner: str) -> bool:
    """Whether any release of CUDA or torch has a name of this scope."""
    scope, last = split(name, owner)
    return bool(_entries(last, scope))


def changed(name: str, toolkit: str = "") -> Gone | None:
    """Since when a function takes other arguments, and which; None for one that is not known to.

    Args:
        name: of the function, with or without the ending of a version ("_v2").
        toolkit: the CUDA in use, "12.4"; of later changes nothing is said.
    """
    name = re.sub(r"_v\d+$", "", split(name)[1])
    found = rows("changed").get(name)
    if found:
        return Gone(*found)
    for entry in _entries(name, ""):
        past = [item for item in entry.changes[1:] if not toolkit or numbers(item[0]) <= numbers(toolkit)]
        if entry.kind == "function" and past:
            release, signature = past[-1]
            return Gone(_release(release), entry.replacement or f"it takes ({signature})")
    return None


def _entries(name: str, owner: str) -> list[Entry]:
    """What the table of CUDA has of a name in exactly this namespace or class."""
    if re.match(r"std\b", owner):
        return []
    full = f"{owner}::{name}" if owner else name
    found = [] if re.match(r"(?:at|c10|torch|caffe2)\b", owner) else cuda.find(full)
    if not found and not re.match(r"(?:cub|thrust|cuda|cu|nv)", owner):
        found = torch_cpp.find(full)
    return [entry for entry in found if entry.scope == owner]


#: Headers of torch.
_TORCH = r"(?:ATen|c10|torch|caffe2|TH[CS]?)/"


def _release(version: str) -> str:
    return f"CUDA {version.removesuffix('.0')}"


def without_in_python(name: str) -> str | None:
    """The Python whose C API no longer has, or no longer shows, a name: "PyFrameObject" → "3.11"."""
    found: str | None = rows("python").get(split(name)[1])
    if found is None and re.match(r"_?Py[A-Z_]", name):
        found = next((entry.removed for entry in python.C_TABLE.find(name)), None)
    return found
