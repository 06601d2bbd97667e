"""Headers that are gone, and what takes their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial

from dcnbuild.base.plain_yaml import beside
from dcnbuild.knowledge import standard
from dcnbuild.port import includes
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, whole_line
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.source import COMPILED_SUFFIXES
from dcnbuild.port.stream import Stream

#: Headers that are gone → what has their place, and the expressions that tell what a file needs.
_TABLES = beside(__file__, "moved_headers.yaml")


@cache
def _any_of(key: str) -> re.Pattern[str]:
    """The expression whose alternatives a table lists."""
    return re.compile("|".join(_TABLES[key]))


def is_torch_h(header: str) -> bool:
    """Whether a header (without brackets) is one of TH's or THC's."""
    return bool(_any_of("of_thc").fullmatch(header) or _any_of("of_th").fullmatch(header))


def _replaced(
    code: Code, scope: Scope, wanted: Callable[[str], object], header: Callable[[str], str | None]
) -> Iterable[Edit]:
    """Another header in each line with torch's header of such a name.

    The line goes where `header` says None, or what is included already. What the project has itself is its own.
    """
    there = {other.name for other in code.layout.includes if not other.path}
    for include in code.layout.includes:
        if not wanted(include.name) or include.name in scope.own_headers:
            continue
        token, new = include.directive.tokens[0], header(include.name)
        if new is None or new in there:
            yield Edit(*whole_line(code.text, code.text.rindex("#", 0, token.start), token.end), "")
        else:
            yield Edit(token.start, token.end, f"<{new}>")
            if not include.path:
                there.add(new)


def _by_table(code: Code, scope: Scope, table: Mapping[str, str]) -> Iterable[Edit]:
    """The headers of a table, each in another's place."""
    return _replaced(code, scope, table.__contains__, table.get)


def rewrite_cuda_apply_utils(code: Code, scope: Scope) -> Iterable[Edit]:
    """ATen/cuda/CUDAApplyUtils.cuh where only its atomics are used."""
    alone = code.has(_any_of("atomics").pattern) and not code.has(_any_of("apply").pattern)
    return _by_table(code, scope, {"ATen/cuda/CUDAApplyUtils.cuh": "ATen/cuda/Atomic.cuh"}) if alone else ()


def rewrite_th_header(code: Code, scope: Scope) -> Iterable[Edit]:
    """TH.h stood before the project's headers, which lean on what it brought: that of tensors takes its place."""
    wanted = includes.missing(code, "Tensor", scope.headers, False)
    return _replaced(code, scope, _any_of("of_th").fullmatch, lambda header: wanted[0][0] if wanted else None)


def rewrite_torch_extension_header(code: Code, scope: Scope) -> Iterable[Edit]:
    """torch/torch.h in a file that binds Python, with nothing else that brings pybind11."""
    there = any(map(_any_of("pybind").fullmatch, scope.headers | code.headers))
    binds = code.has("PYBIND11_MODULE|TORCH_EXTENSION_NAME|pybind11")
    return _by_table(code, scope, {"torch/torch.h": "torch/extension.h"}) if binds and not there else ()


def rewrite_missing_header(code: Code, scope: Scope) -> Iterable[Edit]:
    """Names of torch's CUDA side in a source whose headers are all known not to bring them."""
    others = [header for header in scope.headers | code.headers if header not in scope.own_headers]
    names = _any_of("cuda_names").pattern
    if scope.suffix in COMPILED_SUFFIXES and code.has(names) and all(map(_any_of("without_cuda").fullmatch, others)):
        for header, first in includes.missing(code, names, scope.headers, False)[:1]:
            yield includes.add(code, header, first)


def rewrite_standard_header(code: Code, scope: Scope) -> Iterable[Edit]:
    """Names of the standard library in a file that some source compiles behind headers that do not bring them."""
    whole = (group for group in scope.surroundings if code.headers or group - {standard.OF_NVCC})  # no text alone
    groups = list(filter(standard.all_known, (group | code.headers - scope.own_headers for group in whole)))
    found: dict[str, int] = {}
    for stream, index in code.names(standard.pattern()) if groups else ():
        name = _standard_name(stream, index, scope.own | scope.functions)
        headers = filter(None, (standard.lacking(name, group) for group in groups))
        found.update((header, min(stream[index].start, found.get(header, len(code.text)))) for header in headers)
    yield from (includes.add(code, header, first) for header, first in found.items())


def _standard_name(stream: Stream, index: int, own: frozenset[str]) -> str:
    """A name of the standard library, `std::` before it where code has that; "" for one of something else."""
    text, before = stream[index].text, stream.words(index - 2, 2)
    if before == ["std", "::"]:
        return f"std::{text}"
    called = stream.follows(index, "(") and (before[-1:] == ["return"] or stream[index - 1].kind != "name")
    free = before[-1:] not in (["."], ["->"], ["::"]) and text not in own
    return text if free and (called or text.isupper()) else ""


def rewrite_fixed_width(code: Code, scope: Scope) -> Iterable[Edit]:
    """`uint8_t` behind nothing but headers of the standard library, whose containers brought it once."""
    others = [header for header in scope.headers | code.headers if header not in scope.own_headers]
    if others and all(map(_any_of("library").fullmatch, others)):
        uses = sorted(stream[index].start for stream, index in code.names(r"u?int(?:8|16|32|64)_t"))
        yield from (includes.add(code, "cstdint", first) for first in uses[:1])


rewrite_thc_header = partial(
    _replaced,
    wanted=lambda header: _any_of("of_thc").fullmatch(header) and header not in _TABLES["forwarders"],
    header=lambda header: _TABLES["thc"].get(header, _TABLES["other_thc"]),
)
rewrite_thc_forwarder = partial(_by_table, table={header: _TABLES["thc"][header] for header in _TABLES["forwarders"]})
rewrite_moved_header = partial(_by_table, table=_TABLES["moved"])
RULES = entries(__file__, globals())
