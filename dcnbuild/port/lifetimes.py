"""Names that torch or CUDA has no longer and no rule knows, from the tables of `dcnbuild.knowledge`.

Only names are asked for that can mean nothing else: macros of torch and CUB by their prefix, what stands
behind `at::`, `c10::`, `torch::`, `cub::` or `thrust::`, functions of CUDA's libraries by theirs, and members
of what is known to be a tensor, at::Context or a struct of CUDA. A member of another object may be anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild import knowledge
from dcnbuild.base.plain_yaml import beside
from dcnbuild.base.versions import numbers
from dcnbuild.knowledge import answers
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

_FACTS = beside(__file__, "lifetimes.yaml")
_STRUCTS = _FACTS["structs"]
_FILES = {**_STRUCTS, "at::Generator": _FACTS["generator"]}
_TYPE = "at::DeprecatedTypeProperties"
#: Values of CUDA's libraries.
_VALUE = re.compile(rf"(?:{'|'.join(_FACTS['prefixes'])})_".upper())
#: Functions of CUDA's driver.
_DRIVER = re.compile(r"cu[A-Z]\w+")
#: Macros of torch that stand before a declaration.
_DECLARES = re.compile(_FACTS["declares"])


def gone_names(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for each name that is gone, with its lines."""
    known: dict[str, answers.Said] = {}
    found: list[tuple[str, int]] = []
    for stream, index in code.names(r"\w+"):
        token = stream[index]
        if token.text in scope.own or code.layout.is_past(token.start):
            continue
        called = stream.follows(stream.angles.get(index + 1, index), "(")
        for product, name in _asked(code, scope, stream, index):
            said = answers.gone(product, name)
            if not said and called and (product == "CUDA" or stream[index - 1].text in ("::", ".", "->")):
                said = _changed(code, stream, index, product, name) or answers.unknown(product, name)
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
        said = answers.gone_header(header) if asked else None
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
    found = list(dict.fromkeys(h for h, since in moves if numbers(since)[:2] <= answers.TODAY["CUDA"]))
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


def _changed(code: Code, stream: Stream, index: int, product: str, name: str) -> answers.Said | None:
    """What is to be said of a call that passes what only older releases take."""
    if product == "torch" and (form := todays_form(code, stream, index, name)):
        return "torch takes other arguments", f"write {form}"
    for entry in answers.TABLES[product].find(name):
        kept = entry.name == name and entry.kind == "function" and entry.removed is None
        since = changed_since(code, stream, index, entry, answers.TODAY[product]) if kept else ""
        if since:
            use = entry.replacement or f"the form of {entry.header}"
            return f"{product} takes other arguments since {since}", f"write {use}"
    return None
