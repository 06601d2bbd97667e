"""What the tables say of a name in a source: whether all that is called so is gone, since when, and what to write.

The names that may be asked are those of torch's and CUDA's own: with their namespaces or classes, macros, headers.
"""

from __future__ import annotations

import re
from functools import cache

from dcnbuild.base.plain_yaml import beside
from dcnbuild.base.versions import numbers
from dcnbuild.knowledge import cuda, headers, torch_cpp
from dcnbuild.knowledge import gone as rows
from dcnbuild.knowledge.entry import Entry

#: What sources are ported to. The tables know newer releases, too.
TODAY = {"torch": (2, 14), "CUDA": (13, 0)}
TABLES = {"torch": torch_cpp, "CUDA": cuda}
_FACTS = beside(__file__, "answers.yaml")
_CLOSED = _FACTS["closed"]
#: Classes whose members may be asked for.
_OWNERS = {"at::Tensor", "c10::IValue", "at::Generator", *_CLOSED, *_FACTS["structs"]}
#: Folders of torch whose headers the table knows all, but for these and other platforms'.
_TORCH = re.compile(r"(?:ATen|c10|torch)/")
_NOT_KNOWN = re.compile("|".join(_FACTS["not_known"]), re.I)
#: The reason why something fails, and what to do.
Said = tuple[str, str]


@cache
def gone(product: str, name: str) -> Said | None:
    """The reason and the advice, if all that is called so is gone."""
    table = TABLES[product]
    owner, _, last = name.rpartition("::")
    same = {name, *(f"{space}::{last}" for space in _FACTS["within"].get(owner, ()))}
    found = [entry for entry in table.find(last) if entry.name in same]
    row = next(filter(None, (rows.find(product, other) for other in sorted(same))), None)
    if row and row.since == rows.NEVER:
        return None
    if not found:
        if owner in _CLOSED and not any(entry.removed is None for entry in table.find(name)):
            return _said(product, "", "", _CLOSED[owner])
        if row:
            return _said(row.product, row.since, row.use, row.note)
        older = (row for row in _FACTS["older"] if re.fullmatch(row["names"], name))
        return next((_said(product, row["since"], "", row["advice"]) for row in older), None)
    kinds = {"function", "macro", "enumerator"} | {"member" if owner in _OWNERS else "type"}
    if not any(entry.kind in kinds for entry in found) or found[0].header in _FACTS["generated"]:
        return None
    if product == "torch" and found[0].kind == "enumerator" and not gone(product, owner):
        return None  # an enum that stands may list its values by a macro, where the tables lose sight of them
    if owner == "at::Tensor":
        found += table.find(f"TensorBase::{last}")
    elif product == "torch" and owner not in _OWNERS:
        inner = owner.rpartition("::")[2] if "::" in owner else ""  # at::cuda:: has all of c10::cuda::,
        others = table.find(last)  # and at:: has much from other namespaces
        others = [entry for entry in others if entry.scope not in _FACTS["apart"]]
        found += [e for e in others if not inner or e.scope.rpartition("::")[2] in (inner, "")]
    return _of_entry(product, found[0]) if all(_is_gone(product, entry) for entry in found) else None


@cache
def unknown(product: str, name: str) -> Said | None:
    """What is to be said of a public function that no release in the tables has."""
    space, _, last = name.rpartition("::")
    own = space if product == "CUDA" else ""  # at::, c10:: and torch:: have each other's, thrust:: not all of cuda::
    public = space in _FACTS["whole"] and last == last.strip("_")
    known = any(entry.name.startswith(own) for entry in TABLES[product].find(last)) if public else True
    return None if known else _said(product, "", "", "")


@cache
def gone_header(header: str) -> Said | None:
    """The same of a header."""
    entries = [entry for entry in headers.find(header) if entry.name == header]
    if header in _FACTS["generated"] or ("/" not in header and not all(e.source.startswith("nvidia") for e in entries)):
        return None  # one without a folder may be anybody's, if not CUDA's
    if not entries and _TORCH.match(header) and not _NOT_KNOWN.search(header):
        return _said("torch", "", "", "look for its successor in torch's include directory")
    for product in TODAY:
        if entries and all(_is_gone(product, entry) for entry in entries):
            return _of_entry("CUDA" if entries[0].source.startswith("nvidia") else "torch", entries[0])
    if header.startswith("c10d/"):  # a folder of its own until torch 1.12: the tables do not know it
        return _said("torch", "1.13", "", "look in torch/csrc/distributed/c10d")
    return None


def _is_gone(product: str, entry: Entry) -> bool:
    return entry.removed is not None and numbers(entry.removed)[:2] <= TODAY[product]


def _of_entry(product: str, entry: Entry) -> Said:
    note = ": ".join(filter(None, ["leave it out", entry.note])) if entry.replacement == "" else entry.note
    return _said(product, entry.removed or "", entry.replacement or "", note)


def _said(product: str, since: str, use: str, note: str) -> Said:
    """The reason and the advice of a remark; `note` is the advice where there is no successor."""
    advice = ": ".join(filter(None, [use and f"write {use}", note])) or "look for its successor"
    return f"{product} has it no longer{f' since {since}' if since else ''}", advice
