"""Names that torch or CUDA has no longer and no rule knows, from the tables of `dcnbuild.knowledge`.

Only names are asked for that can mean nothing else: macros of torch and CUB by their prefix, what stands
behind `at::`, `c10::`, `torch::`, `cub::` or `thrust::`, functions of CUDA's libraries by theirs, and members
of what is known to be a tensor, at::Context or a struct of CUDA. A member of another object may be anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from dcnbuild import knowledge
from dcnbuild.base.plain_yaml import beside
from dcnbuild.base.versions import numbers
from dcnbuild.knowledge import gone
from dcnbuild.knowledge.entry import Entry
from dcnbuild.port.changed_calls import changed_since, todays_form
from dcnbuild.port.code import Code
from dcnbuild.port.edits import line_of
from dcnbuild.port.result import Remark, remark, remarks
from dcnbuild.port.rule import Scope
from dcnbuild.port.rules.tensors import is_type_variable
from dcnbuild.port.source import COMPILED_SUFFIXES
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.spans import receiver
from dcnbuild.port.stream import Stream

#: What sources are ported to. The tables know newer releases, too.
TODAY = {"torch": (2, 14), "CUDA": (13, 0)}
_TABLES = {"torch": knowledge.torch_cpp, "CUDA": knowledge.cuda}
_FACTS = beside(__file__, "lifetimes.yaml")
_STRUCTS, _CLOSED = _FACTS["structs"], _FACTS["closed"]
_FILES = {**_STRUCTS, "at::Generator": _FACTS["generator"]}
_TYPE = "at::DeprecatedTypeProperties"
#: Those whose members are asked for.
_OWNERS = {"at::Tensor", "c10::IValue", *_CLOSED, *_FILES}
#: Folders of torch whose headers the table knows all, but for these and other platforms'.
_TORCH = re.compile(r"(?:ATen|c10|torch)/")
_NOT_KNOWN = re.compile("|".join(_FACTS["not_known"]), re.I)
#: Values of CUDA's libraries.
_VALUE = re.compile(rf"(?:{'|'.join(_FACTS['prefixes'])})_".upper())
#: Functions of CUDA's driver.
_DRIVER = re.compile(r"cu[A-Z]\w+")
#: Macros of torch that stand before a declaration.
_DECLARES = re.compile(_FACTS["declares"])
#: A remark's reason and advice.
_Said = tuple[str, str]


def gone_names(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for each name that is gone, with its lines."""
    known: dict[str, _Said] = {}
    found: list[tuple[str, int]] = []
    for stream, index in code.names(r"\w+"):
        token = stream[index]
        if token.text in scope.own or code.layout.is_past(token.start):
            continue
        called = stream.follows(stream.angles.get(index + 1, index), "(")
        for product, name in _asked(code, scope, stream, index):
            said = _gone(product, name)
            if not said and called and (product == "CUDA" or stream[index - 1].text in ("::", ".", "->")):
                said = _changed(code, stream, index, product, name) or _unknown(product, name)
            if said and _is_meant(code, stream, index, name):
                known.setdefault(name, said)
                found.append((name, token.start))
                break
    yield from remarks(lambda lines, name: Remark("gone-name", lines, name, *known[name], "broken"), code.text, found)


def gone_headers(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for each header of torch or CUDA that is included and gone."""
    for include in code.layout.includes:
        header, start = include.name, include.directive.start
        asked = header not in scope.own_headers and not code.layout.is_past(start)
        said = _gone_header(header) if asked else None
        if said:
            yield Remark("gone-name", (line_of(code.text, start),), f"#include <{header}>", *said, "broken")


def host_headers(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for a C++ source that gets headers, itself or by the project's, which only nvcc finds."""
    if scope.suffix not in COMPILED_SUFFIXES - {".cu"}:
        return
    own = {i.name: line_of(code.text, i.directive.start) for i in code.layout.includes if not i.path}
    asked = (h for h in sorted(own.keys() | scope.headers) if h not in scope.own_headers and "/" in h)
    entries = ((header, entry) for header in asked for entry in knowledge.headers.find(header) if entry.name == header)
    moves = ((h, since) for h, entry in entries for since, folder in entry.changes if folder == "include/cccl")
    found = list(dict.fromkeys(h for h, since in moves if numbers(since)[:2] <= TODAY["CUDA"]))
    if found:
        yield remark("cccl-folder", (own.get(header, 1) for header in found), f"#include <{found[0]}>")


def copied_headers(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for each header that comes from a copy of CUB in the project."""
    for include in code.layout.includes:
        if include.header[0] == '"' and include.name in scope.copied_headers:
            place = line_of(code.text, include.directive.start)
            ours = include.name[include.name.index("cub/") :]
            yield remark("cub-copy", (place,), f"#include {include.header}", header=ours)


def _asked(code: Code, scope: Scope, stream: Stream, index: int) -> Iterator[tuple[str, str]]:
    """The products and full names of what is to be looked up."""
    text = stream[index].text
    behind = stream[index - 1].text if index else ""
    called = stream.follows(index, "(")
    if behind in (".", "->"):
        yield from _members(code, stream, index) if called else ((("CUDA", f"{s}::{text}")) for s in _STRUCTS)
    elif behind == "::":
        first = stream.qualified(index)
        first += stream[first].text == "::"
        product, space = _FACTS["spaces"].get(stream[first].text, ("", ""))
        inside = called or space != "torch" or stream[index - 2].text != stream[first].text
        if product and inside:
            yield product, space + "".join(stream.words(first + 1, index - first))
    elif text.isupper() and (text.startswith(("AT_", "TORCH_")) if called else _DECLARES.fullmatch(text)):
        yield "torch", text
    elif _VALUE.match(text) or (called and (text.startswith(tuple(_FACTS["prefixes"])) or _DRIVER.fullmatch(text))):
        yield "CUDA", text
    elif called and text not in scope.functions and scope.is_torch(stream, index):
        before = (stream[place - 1] for place in stream.places[text])
        if not any(token.kind == "name" and token.text != "return" for token in before):  # else it is declared here
            yield "torch", f"at::{text}"


def _members(code: Code, stream: Stream, index: int) -> Iterator[tuple[str, str]]:
    """What a method may be called on."""
    text = stream[index].text
    before = stream.words(index - 4, 3)
    of_type = before == ["type", "(", ")"] or _is_backend(stream, index - 2)
    if before == ["globalContext", "(", ")"]:
        yield "torch", f"at::Context::{text}"
    elif of_type or (text in _FACTS["made"] and is_type_variable(code, stream[index - 2])):
        yield "torch", f"{_TYPE}::{text}"
    else:
        yield from (("torch", f"{owner}::{text}") for owner in ("at::Tensor", "at::Generator", "at::TensorIterator"))
        if text.startswith("to"):  # nothing else has toIntListRef()
            yield "torch", f"c10::IValue::{text}"


def _is_backend(stream: Stream, last: int) -> bool:
    """Whether `at::CUDA(…)` or `at::CPU(…)` ends here, which are types as x.type() is."""
    opening = stream.partner[last] if stream[last].text == ")" else 0
    return stream.words(opening - 2, 2) in (["::", "CUDA"], ["::", "CPU"])


def _is_meant(code: Code, stream: Stream, index: int, name: str) -> bool:
    """Whether a member is asked of what has it, as far as that can be told."""
    owner = name.rpartition("::")[0]
    if owner in _FACTS["declared"]:  # `half a`, or `auto a = at::TensorIterator()`
        types = _FACTS["declared"][owner]
        places = [place for place in stream.places.get(stream[index - 2].text, ()) if 0 < place < index]
        made = (stream.words(place + 2, 4) for place in places if stream.follows(place, "="))
        return any(stream[place - 1].text in types for place in places) or any(set(types) & set(w) for w in made)
    if owner in _FILES:
        return code.has(_FILES[owner])
    if owner == _TYPE and _is_backend(stream, index - 2):
        return True
    if owner == _TYPE and stream[index - 2].text == ")":  # x.type().name
        index -= 4
    elif owner != "at::Tensor":
        return True
    first = receiver(stream, index - 1) if stream is code.live else None
    return first is not None and expressions(code, {}).kind(stream, first, index - 1) == "tensor"


@cache
def _gone(product: str, name: str) -> _Said | None:
    """The reason and the advice, if all that is called so is gone."""
    table = _TABLES[product]
    owner, _, last = name.rpartition("::")
    same = {name, *(f"{space}::{last}" for space in _FACTS["within"].get(owner, ()))}
    found = [entry for entry in table.find(last) if entry.name in same]
    row = next(filter(None, (gone.find(product, other) for other in sorted(same))), None)
    if row and row.since == gone.NEVER:
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
    if owner == "at::Tensor":
        found += table.find(f"TensorBase::{last}")
    elif product == "torch" and owner not in _OWNERS:
        inner = owner.rpartition("::")[2] if "::" in owner else ""  # at::cuda:: has all of c10::cuda::,
        others = table.find(last)  # and at:: has much from other namespaces
        others = [entry for entry in others if entry.scope not in _FACTS["apart"]]
        found += [e for e in others if not inner or e.scope.rpartition("::")[2] in (inner, "")]
    return _of_entry(product, found[0]) if all(_is_gone(product, entry) for entry in found) else None


def _changed(code: Code, stream: Stream, index: int, product: str, name: str) -> _Said | None:
    """What is to be said of a call that passes what only older releases take."""
    if product == "torch" and (form := todays_form(code, stream, index, name)):
        return "torch takes other arguments", f"write {form}"
    for entry in _TABLES[product].find(name):
        kept = entry.name == name and entry.kind == "function" and entry.removed is None
        since = changed_since(code, stream, index, entry, TODAY[product]) if kept else ""
        if since:
            use = entry.replacement or f"the form of {entry.header}"
            return f"{product} takes other arguments since {since}", f"write {use}"
    return None


@cache
def _unknown(product: str, name: str) -> _Said | None:
    """What is to be said of a public function that no release in the tables has."""
    space, _, last = name.rpartition("::")
    own = space if product == "CUDA" else ""  # at::, c10:: and torch:: have each other's, thrust:: not all of cuda::
    public = space in _FACTS["whole"] and last == last.strip("_")
    known = any(entry.name.startswith(own) for entry in _TABLES[product].find(last)) if public else True
    return None if known else _said(product, "", "", "")


@cache
def _gone_header(header: str) -> _Said | None:
    entries = [entry for entry in knowledge.headers.find(header) if entry.name == header]
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


def _of_entry(product: str, entry: Entry) -> _Said:
    note = ": ".join(filter(None, ["leave it out", entry.note])) if entry.replacement == "" else entry.note
    return _said(product, entry.removed or "", entry.replacement or "", note)


def _said(product: str, since: str, use: str, note: str) -> _Said:
    """The reason and the advice of a remark; `note` is the advice where there is no successor."""
    advice = ": ".join(filter(None, [use and f"write {use}", note])) or "look for its successor"
    return f"{product} has it no longer{f' since {since}' if since else ''}", advice
