"""Names that torch or CUDA has no longer and no rule knows, from the tables of `dcnbuild.knowledge`.

Only names are asked for that can mean nothing else: macros of torch by their prefix, functions behind
`at::`, what stands directly in `cub::` and `thrust::`, and functions of CUDA's libraries by theirs. A
member of some object may be anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from dcnbuild import knowledge
from dcnbuild.base.versions import numbers
from dcnbuild.knowledge.entry import Entry
from dcnbuild.port.code import Code
from dcnbuild.port.edits import line_of
from dcnbuild.port.pattern import follows
from dcnbuild.port.result import Remark
from dcnbuild.port.rule import Scope
from dcnbuild.port.stream import Stream

#: What sources are ported to. The tables know newer releases, too.
TODAY = {"torch": (2, 14), "CUDA": (13, 0)}
_SCOPES = {"at": "torch", "torch": "torch", "cub": "CUDA", "thrust": "CUDA"}
#: Headers that only wheels with CUDA have, which the table's source is not.
_GENERATED = frozenset({"ATen/cuda/CUDAConfig.h"})
#: Functions of cuSPARSE by the format that they are for: CUDA 11 dropped most of them, before the tables begin.
_OLD_SPARSE = re.compile(
    r"cusparse[SDCZHX](?:csr|coo|bsr|gebsr|hyb|ell|csc|dense|nnz|gtsv|axpyi|dotc?i|roti|gthr|sctr)\w*"
)
_PREFIXES = ("cuda", "cublas", "cusparse", "cusolver", "cufft", "curand", "nvtx")


def gone_names(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for each name that is gone, with its lines."""
    found: dict[str, tuple[str, Entry, set[int]]] = {}
    older: dict[str, set[int]] = {}
    for stream, index in code.names(r"\w+"):
        text = stream[index].text
        if text in scope.own or code.layout.is_past(stream[index].start):
            continue
        asked = _asked(stream, index)
        entry = asked and _gone(*asked)
        if asked and entry:
            place = found.setdefault(asked[1], (asked[0], entry, set()))
            place[2].add(line_of(code.text, stream[index].start))
        elif asked and _OLD_SPARSE.fullmatch(asked[1]) and not _known(asked[1]):
            older.setdefault(text, set()).add(line_of(code.text, stream[index].start))
    for name, (product, entry, lines) in found.items():
        yield _remark(name, product, entry, sorted(lines))
    for name, lines in older.items():
        reason, advice = ("CUDA has it no longer since 11.0", "call the generic API, cusparseSpMM say")
        yield Remark("gone-name", tuple(sorted(lines)), name, reason, advice, "broken")


def gone_headers(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for each header of torch or CUDA that is included and gone."""
    for include in code.layout.includes:
        header = include.header[1:-1]
        if header in scope.own_headers or "/" not in header or code.layout.is_past(include.directive.start):
            continue
        entry = _gone_header(header)
        if entry:
            product = "CUDA" if entry.source.startswith("nvidia") else "torch"
            place = line_of(code.text, include.directive.start)
            yield _remark(f"#include <{header}>", product, entry, [place])
        elif header.startswith("c10d/"):  # a folder of its own until torch 1.12: the tables do not know it
            reason, advice = "torch has no such folder since 1.13", "look in torch/csrc/distributed/c10d"
            place = line_of(code.text, include.directive.start)
            yield Remark("gone-name", (place,), f"#include <{header}>", reason, advice, "broken")


def _asked(stream: Stream, index: int) -> tuple[str, str] | None:
    """The product and the full name of what is to be looked up."""
    text = stream[index].text
    behind = stream[index - 1].text if index else ""
    if behind == "::" and index > 1:
        space = stream[index - 2].text
        inner = index > 3 and stream[index - 3].text == "::" and stream[index - 4].kind == "name"
        if space not in _SCOPES or inner or follows(stream, index, "::"):
            return None
        function = follows(stream, index, "(")
        return (_SCOPES[space], f"{space}::{text}") if function or space != "torch" else None
    if behind in (".", "->", "::"):
        return None
    if text.startswith(("AT_", "TORCH_")) and text.isupper():
        return ("torch", text) if follows(stream, index, "(") else None
    return ("CUDA", text) if text.startswith(_PREFIXES) and follows(stream, index, "(") else None


def _known(name: str) -> bool:
    """Whether the table of CUDA has a name, gone or not."""
    return any(entry.name == name for entry in knowledge.cuda.find(name))


@lru_cache(maxsize=4096)
def _gone(product: str, name: str) -> Entry | None:
    """The last that is known of a name, if all that is called so is gone."""
    table = knowledge.torch_cpp if product == "torch" else knowledge.cuda
    found = [entry for entry in table.find(name) if entry.name == name]
    kinds = ("function", "macro") if product == "torch" else ("function", "macro", "type")
    if not any(e.kind in kinds for e in found) or found[0].header in _GENERATED:
        return None
    if product == "torch":  # at:: has much from c10:: and other namespaces
        found += table.find(name.rpartition("::")[2])
    return found[0] if all(_is_gone(product, entry) for entry in found) else None


@lru_cache(maxsize=4096)
def _gone_header(header: str) -> Entry | None:
    entries = [entry for entry in knowledge.headers.find(header) if entry.name == header]
    if header in _GENERATED:
        return None
    for product in TODAY:
        if entries and all(_is_gone(product, entry) for entry in entries):
            return entries[0]
    return None


def _is_gone(product: str, entry: Entry) -> bool:
    return entry.removed is not None and numbers(entry.removed)[:2] <= TODAY[product]


def _remark(name: str, product: str, entry: Entry, lines: Sequence[int]) -> Remark:
    advice = f"write {entry.replacement}" if entry.replacement else "look for its successor"
    if entry.replacement == "":
        advice = "leave it out"
    note = f": {entry.note}" if entry.note else ""
    reason = f"{product} has it no longer since {entry.removed}"
    return Remark("gone-name", tuple(lines), name, reason, advice + note, "broken")
