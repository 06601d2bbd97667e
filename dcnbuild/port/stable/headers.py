"""#include lines: torch/extension.h, ATen and c10 go, what the new names need comes in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port import includes
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, newline_of
from dcnbuild.port.layout import Include
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.types import scope_of

UNSTABLE = re.compile(
    r"(?:ATen|c10|pybind11|caffe2)/.*|torch/(?!headeronly/|csrc/stable/|csrc/inductor/aoti_torch/).*|THC?/.*"
)
_STABLE, _HEADERONLY = "torch/csrc/stable/", "torch/headeronly/"
#: Names → the headers that code needs for them.
_NAMES = beside(__file__, "header_names.yaml")
_CUDA = frozenset({"cuda_runtime.h", "cublas_v2.h"})


def needed(code: Code, suffix: str, own: frozenset[str], beside: Iterable[Code] = ()) -> list[str]:
    """The headers that a text's names need: the stable ABI's, then the standard library's, also for texts beside it."""
    found: dict[str, None] = {}
    used: set[str] = set()
    always: set[str] = set()  # under no #if
    for stream, index in (place for other in beside for place in other.names(r"\w+")):
        used.add("std::" * stream.preceded(index, "std", "::") + stream[index].text)
    for stream, index in code.names(r"\w+"):
        text = stream[index].text
        behind = stream[index - 1].text if index else ""
        if behind == "::" and index > 1:
            space = stream[index - 2].text
            full = f"{space}::{text}"
            used.add(full if space == "std" else "")
            if full in _NAMES["qualified"]:
                found[_NAMES["qualified"][full]] = None
            elif space == "stable" and text.islower() and stream.follows(index, "("):
                found[_STABLE + "ops.h"] = None
        elif behind not in (".", "->"):
            used.add(text)
            if text.startswith(("cu", "dim3")) and not code.layout.path_at(stream[index].start):
                always.add(text)
        if text in _NAMES["names"] and text not in own:
            found[_NAMES["names"][text]] = None
    standard = [
        header
        for header, names in _NAMES["standard"].items()
        if any(map(re.compile(names).fullmatch, always if header in _CUDA else used))
        and not (header == "cuda_runtime.h" and suffix in (".cu", ".cuh"))
    ]
    return [*sorted(found), *standard]


def _unstable(code: Code, own_headers: frozenset[str]) -> Iterator[Include]:
    for include in code.layout.includes:
        header = include.name
        kept = header in own_headers or (header.startswith("pybind11/") and _binds(code))
        if UNSTABLE.fullmatch(header) and not kept:
            yield include


def _binds(code: Code) -> bool:
    """Whether a text still uses pybind11."""
    return any(True for _ in code.names("PYBIND11_MODULE|py|pybind11|TORCH_LIBRARY"))


def rewrite_stable_include(code: Code, scope: Scope) -> Iterable[Edit]:
    old = list(_unstable(code, scope.own_headers))
    if not old:
        return
    there = {i.name for i in code.layout.includes} - {i.name for i in old}
    wanted = [
        header
        for header in needed(code, scope.suffix, scope.own, scope_of(scope).beside)
        if not {header, _NAMES["also"].get(header, header)} & there
    ]
    if _binds(code):
        wanted.insert(0, "torch/extension.h")
    newline = newline_of(code.text)
    lines = "".join(f"#include <{header}>{newline}" for header in wanted)
    plain = next((i for i in old if not i.path), None)
    kept: set[int] = set()
    for one in old:
        new = lines if one is plain else ""
        if one.path and "/cuda/" in one.header and scope.suffix not in (".cu", ".cuh"):
            if one.path[-1].start not in kept:  # the build without CUDA has no header of it
                new = f"#include <cuda_runtime.h>{newline}"
            kept.add(one.path[-1].start)
        yield Edit(one.directive.start, one.directive.end, new)


def missing(code: Code, scope: Scope) -> Edit | None:
    """The edit that includes the first header that a text still lacks; None if it lacks none."""
    there = {i.name for i in code.layout.includes}
    stable = (_STABLE, _HEADERONLY)
    for header in needed(code, scope.suffix, scope.own):
        if header not in there and header.startswith(stable):
            return include(code, header)
    return None


def lacking(code: Code, header: str, first: int) -> Edit | None:
    """The edit that includes a header if a text has it nowhere."""
    return None if header in {i.name for i in code.layout.includes} else include(code, header)


def include(code: Code, header: str) -> Edit:
    """The edit that includes a header, under no condition: behind the last such line before the code."""
    before = code.functions[0].start if code.functions else len(code.text)
    plain = [
        i.directive
        for i in code.layout.includes
        if not i.path and i.directive.start < before and not includes.nested(code, i)
    ]
    at = plain[-1].end if plain else includes.top_of(code)
    newline = newline_of(code.text)
    start = "" if not at or code.text[at - 1] in "\r\n" else newline
    return Edit(at, at, f"{start}#include <{header}>{newline}")


RULES = entries(__file__, globals())
