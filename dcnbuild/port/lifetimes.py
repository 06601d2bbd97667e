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
from dcnbuild.port.changed_calls import changed_since
from dcnbuild.port.code import Code
from dcnbuild.port.edits import line_of
from dcnbuild.port.result import Remark, remark
from dcnbuild.port.rule import Scope
from dcnbuild.port.rules.tensors import is_type_variable
from dcnbuild.port.source import COMPILED_SUFFIXES
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.spans import receiver
from dcnbuild.port.stream import Stream

#: What sources are ported to. The tables know newer releases, too.
TODAY = {"torch": (2, 14), "CUDA": (13, 0)}
_TABLES = {"torch": knowledge.torch_cpp, "CUDA": knowledge.cuda}
#: The first part of a name → its product, and how the tables write it.
_SPACES = {
    **{space: ("torch", space) for space in ("at", "c10", "torch")},
    **{space: ("CUDA", space) for space in ("cub", "thrust", "cooperative_groups")},
    "cg": ("CUDA", "cooperative_groups"),
}
#: Namespaces that have what others have.
_WITHIN = {"at": ("c10",), "torch": ("at", "c10")}
_FACTS = beside(__file__, "lifetimes.yaml")
_STRUCTS, _CLOSED = _FACTS["structs"], _FACTS["closed"]
_FILES = {**_STRUCTS, "at::Generator": r"Generator|\w*[dD]efault\w*Generator"}
_TYPE = "at::DeprecatedTypeProperties"
#: Those whose members are asked for.
_OWNERS = {"at::Tensor", "c10::IValue", *_CLOSED, *_FILES}
#: Folders of torch whose headers the table knows all, but for these and other platforms'.
_TORCH = re.compile(r"(?:ATen|c10|torch)/")
_NOT_KNOWN = re.compile(
    r"/ops/|lazy|mkldnn|api/include|hip|rocm|miopen|xpu|mps|mtia|hpu|npu|mlu|musa|xla|vulkan|metal", re.I
)
#: Functions of CUDA's driver.
_DRIVER = re.compile(r"cu[A-Z]\w+")
#: Namespaces whose public functions the tables know all, in-place forms apart.
_WHOLE = frozenset({"at", "c10", "torch", "cub", "thrust"})
_PREFIXES = ("cuda", "cublas", "cudnn", "cusparse", "cusolver", "cufft", "curand", "nvtx", "CUB_")
#: A remark's reason and advice.
_Said = tuple[str, str]


def gone_names(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for each name that is gone, with its lines."""
    found: dict[str, tuple[_Said, set[int]]] = {}
    for stream, index in code.names(r"\w+"):
        token = stream[index]
        if token.text in scope.own or code.layout.is_past(token.start):
            continue
        for product, name in _asked(code, stream, index):
            said = _gone(product, name)
            if not said and _is_called(stream, index):
                said = _changed(code, stream, index, product, name) or _unknown(product, name)
            if said and _is_meant(code, stream, index, name):
                found.setdefault(name, (said, set()))[1].add(line_of(code.text, token.start))
                break
    for name, ((reason, advice), lines) in found.items():
        yield Remark("gone-name", tuple(sorted(lines)), name, reason, advice, "broken")


def gone_headers(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for each header of torch or CUDA that is included and gone."""
    for include in code.layout.includes:
        header = include.name
        if header in scope.own_headers or "/" not in header or code.layout.is_past(include.directive.start):
            continue
        said = _gone_header(header)
        if said:
            place = line_of(code.text, include.directive.start)
            yield Remark("gone-name", (place,), f"#include <{header}>", *said, "broken")


def host_headers(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for a C++ source that gets headers, itself or by the project's, which only nvcc finds."""
    if scope.suffix not in COMPILED_SUFFIXES - {".cu"}:
        return
    own = {i.name: line_of(code.text, i.directive.start) for i in code.layout.includes if not i.path}
    asked = (h for h in sorted(own.keys() | scope.headers) if h not in scope.own_headers and "/" in h)
    found = [header for header in asked if _moved_to_cccl(header)]
    if found:
        yield remark("cccl-folder", (own.get(header, 1) for header in found), f"#include <{found[0]}>")


@cache
def _moved_to_cccl(header: str) -> bool:
    entries = (entry for entry in knowledge.headers.find(header) if entry.name == header)
    return any(
        folder == "include/cccl" and numbers(since)[:2] <= TODAY["CUDA"] for e in entries for since, folder in e.changes
    )


def copied_headers(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for each header that comes from a copy of CUB in the project."""
    for include in code.layout.includes:
        header = include.name
        if include.header[0] == '"' and header in scope.copied_headers:
            place = line_of(code.text, include.directive.start)
            ours = header[header.index("cub/") :]
            yield remark("cub-copy", (place,), f"#include {include.header}", header=ours)


def _asked(code: Code, stream: Stream, index: int) -> Iterator[tuple[str, str]]:
    """The products and full names of what is to be looked up."""
    text = stream[index].text
    behind = stream[index - 1].text if index else ""
    called = stream.follows(index, "(")
    if behind in (".", "->"):
        yield from _members(code, stream, index) if called else ((("CUDA", f"{s}::{text}")) for s in _STRUCTS)
    elif behind == "::":
        first = stream.qualified(index)
        first += stream[first].text == "::"
        product, space = _SPACES.get(stream[first].text, ("", ""))
        inside = called or space != "torch" or stream[index - 2].text != stream[first].text
        if product and inside:
            yield product, space + "".join(stream.words(first + 1, index - first))
    elif text.startswith(("AT_", "TORCH_")) and text.isupper() and called:
        yield "torch", text
    elif called and (text.startswith(_PREFIXES) or _DRIVER.fullmatch(text)):
        yield "CUDA", text


def _members(code: Code, stream: Stream, index: int) -> Iterator[tuple[str, str]]:
    """What a method may be called on."""
    text = stream[index].text
    before = stream.words(index - 4, 3)
    if before == ["globalContext", "(", ")"]:
        yield "torch", f"at::Context::{text}"
    elif (
        before == ["type", "(", ")"]
        or _is_backend(stream, index - 2)
        or (text in _FACTS["made"] and is_type_variable(code, stream[index - 2]))
    ):
        yield "torch", f"{_TYPE}::{text}"
    else:
        yield from (("torch", f"{owner}::{text}") for owner in ("at::Tensor", "at::Generator"))
        if text.startswith("to"):  # nothing else has toIntListRef()
            yield "torch", f"c10::IValue::{text}"


def _is_backend(stream: Stream, last: int) -> bool:
    """Whether `at::CUDA(…)` or `at::CPU(…)` ends here, which are types as x.type() is."""
    opening = stream.partner[last] if stream[last].text == ")" else 0
    return stream.words(opening - 2, 2) in (["::", "CUDA"], ["::", "CPU"])


def _is_meant(code: Code, stream: Stream, index: int, name: str) -> bool:
    """Whether a member is asked of what has it, as far as that can be told."""
    owner = name.rpartition("::")[0]
    if owner == "__half":
        return _is_half(stream, index)
    if owner in _FILES:
        return code.has(_FILES[owner])
    if owner == _TYPE and _is_backend(stream, index - 2):
        return True
    if owner == _TYPE and stream[index - 2].text == ")":  # x.type().name
        index -= 4
    elif owner != "at::Tensor":
        return True
    return stream is code.live and _is_tensor(code, stream, index - 1)


def _is_half(stream: Stream, index: int) -> bool:
    """Whether `a.x`, with x at this index, is asked of what was declared as `half a`."""
    places = stream.places.get(stream[index - 2].text, ())
    return any(place and stream[place - 1].text in ("half", "__half") for place in places if place < index)


def _is_tensor(code: Code, stream: Stream, end: int) -> bool:
    """Whether the expression that ends before this index is a tensor."""
    first = receiver(stream, end)
    return first is not None and expressions(code, {}).kind(stream, first, end) == "tensor"


@cache
def _gone(product: str, name: str) -> _Said | None:
    """The reason and the advice, if all that is called so is gone."""
    table = _TABLES[product]
    owner, _, last = name.rpartition("::")
    same = {name, *(f"{space}::{last}" for space in _WITHIN.get(owner, ()))}
    found = [entry for entry in table.find(last) if entry.name in same]
    row = gone.find(product, name)
    if row and row.since == gone.NEVER:
        return None
    if not found:
        if owner in _CLOSED and not any(entry.removed is None for entry in table.find(name)):
            return _said(product, "", "", _CLOSED[owner])
        if row:
            return _said(row.product, row.since, row.use, row.note)
        older = (row for row in _FACTS["older"] if re.fullmatch(row["names"], name))
        return next((_said(product, row["since"], "", row["advice"]) for row in older), None)
    kinds = {"function", "macro"} | {"member" if owner in _OWNERS else "type"}
    if not any(entry.kind in kinds for entry in found) or found[0].header in _FACTS["generated"]:
        return None
    if owner == "at::Tensor":
        found += table.find(f"TensorBase::{last}")
    elif product == "torch" and owner not in _OWNERS:
        inner = owner.rpartition("::")[2] if "::" in owner else ""  # at::cuda:: has all of c10::cuda::,
        others = table.find(last)  # and at:: has much from other namespaces
        found += [e for e in others if not inner or e.scope.rpartition("::")[2] in (inner, "")]
    return _of_entry(product, found[0]) if all(_is_gone(product, entry) for entry in found) else None


def _is_called(stream: Stream, index: int) -> bool:
    """Whether a call of what stands at this index follows, with or without template arguments."""
    return stream.follows(stream.angles.get(index + 1, index), "(")


def _changed(code: Code, stream: Stream, index: int, product: str, name: str) -> _Said | None:
    """What is to be said of a call that passes what only older releases take."""
    table = _TABLES[product]
    for entry in table.find(name):
        if entry.name == name and entry.kind == "function" and entry.removed is None:
            since = changed_since(code, stream, index, entry, TODAY[product])
            if since:
                use = entry.replacement or f"the form of {entry.header}"
                return f"{product} takes other arguments since {since}", f"write {use}"
    return None


@cache
def _unknown(product: str, name: str) -> _Said | None:
    """What is to be said of a public function that no release in the tables has."""
    table = _TABLES[product]
    space, _, last = name.rpartition("::")
    private = last.startswith("_") or last.endswith("_")
    if private or space not in _WHOLE:
        return None
    own = space if product == "CUDA" else ""  # at::, c10:: and torch:: have each other's, thrust:: not all of cuda::
    known = any(entry.name.startswith(own) for entry in table.find(last))
    return None if known else _said(product, "", "", "")


@cache
def _gone_header(header: str) -> _Said | None:
    entries = [entry for entry in knowledge.headers.find(header) if entry.name == header]
    if header in _FACTS["generated"]:
        return None
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
    if entry.replacement == "":
        return _said(product, entry.removed or "", "", "leave it out" + (f": {entry.note}" if entry.note else ""))
    return _said(product, entry.removed or "", entry.replacement or "", entry.note)


def _said(product: str, since: str, use: str, note: str) -> _Said:
    """The reason and the advice of a remark; `note` is the advice where there is no successor."""
    advice = ": ".join(filter(None, [use and f"write {use}", note])) or "look for its successor"
    return f"{product} has it no longer{f' since {since}' if since else ''}", advice
