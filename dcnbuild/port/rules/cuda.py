"""CUDA itself, thrust, cub and warp shuffles: what newer toolkits have dropped, or never had for at::Half."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, newline_of, whole_line
from dcnbuild.port.pattern import arguments_of, template_arguments
from dcnbuild.port.rule import Scope, entries

#: What thrust and cub have dropped.
_NAMES = beside(__file__, "cuda_names.yaml")
_HALF = r"AT_DISPATCH_\w*HALF\w*|kHalf"
#: Instructions of PTX that name no lanes: `shfl` with its four operands, `vote` with its two.
_UNSYNCED = re.compile(
    r'(?:\b|(?<=\\[nt]))(shfl(?=\.\w+\.b32\s(?:[^,;"\\]*,){3}[^,;"\\]*[;"\\])|'
    r'vote(?=\.\w+\.\w+\s[^,;"\\]*,[^,;"\\]*[;"\\]))(\.[^;"\\]*[^\s;"\\])'
)
_BETWEEN = frozenset({"*", "&", "const", "__restrict__", "__restrict"})


def rewrite_atomic_add_double(code: Code, scope: Scope) -> Iterable[Edit]:
    """The project's own atomicAdd(double*, double), where no #if takes it away."""
    newline = newline_of(code.text)
    for function in code.functions:
        types = [parameter.type.replace(" ", "") for parameter in function.parameters]
        path = code.layout.path_at(function.body[0])
        asked = any(token.text == "__CUDA_ARCH__" for line in path for token in line.tokens)
        if function.name != "atomicAdd" or types != ["double*", "double"] or asked:
            continue
        start, end = whole_line(code.text, function.start, function.body[1] + 1)
        if start and code.text[start - 1] not in "\r\n":
            continue  # other code shares its line, where no #if can stand
        guard = "#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 600"
        last = "" if code.text[start:end].endswith(("\n", "\r")) else newline
        yield Edit(start, start, f"{guard}  // newer GPUs have their own{newline}")
        yield Edit(end, end, f"{last}#endif{newline}")


def rewrite_symbol_by_name(code: Code, scope: Scope) -> Iterable[Edit]:
    """`cudaMemcpyToSymbol("table", …)` for a symbol that this file defines."""
    for stream, index, given, _ in code.calls("cudaMemcpyToSymbol|cudaMemcpyFromSymbol|cudaGetSymbolAddress"):
        place = 0 if stream[index].text == "cudaMemcpyToSymbol" else 1
        for start, end in given[place : place + 1]:
            name = stream[start].text.strip('"')
            if end == start + 1 and stream[start].text == f'"{name}"' and name in code.live.places:
                yield stream.edit(start, start, name)


def rewrite_warp_asm(code: Code, scope: Scope) -> Iterable[Edit]:
    """`asm("shfl.up.b32 %0, %1, 1, 0;" : …)`, which ptxas takes for older GPUs only."""
    for stream, index in code.names("asm|__asm__|__asm"):
        before = index + (stream.words(index + 1, 1) in (["volatile"], ["__volatile__"]))
        for token in stream[before : stream.close_of(before) + 1]:
            new = _UNSYNCED.sub(r"\1.sync\2, 0xffffffff", token.text) if token.kind == "string" else token.text
            if new != token.text:
                yield Edit(token.start, token.end, new)


def rewrite_thrust_functor_base(code: Code, scope: Scope) -> Iterable[Edit]:
    """`struct F : public thrust::unary_function<A, B> {`; the types that it defines where something asks for them."""
    for stream, index in code.names("|".join(_NAMES["functors"])):
        if index < 4 or not stream.preceded(index, "thrust", "::"):
            continue
        first = stream.first_of(index - 2, "::", "public", "private")
        close = stream.angles.get(index + 1, 0)
        given = template_arguments(code.text, stream, index + 1)
        types = _NAMES["functors"][stream[index].text]
        if not close or not stream.preceded(first, ":") or not stream.follows(close, "{") or len(given) != len(types):
            continue
        asked = {stream[i].text for stream, i in code.names("|".join(types))}
        yield Edit(stream[first - 2].end, stream[close].end, "")
        defined = [f" using {t} = {g};" for t, g in zip(types, given, strict=True) if t in asked]
        if defined:
            yield stream.behind(close + 1, "".join(defined))


def rewrite_cub_iterator(code: Code, scope: Scope) -> Iterable[Edit]:
    """`cub::TransformInputIterator<Value, Operation, Iterator>` and its like."""
    for stream, index in code.names("|".join(_NAMES["iterators"])):
        close = stream.angles.get(index + 1, 0)
        name, order = _NAMES["iterators"][stream[index].text]
        given = template_arguments(code.text, stream, index + 1)
        if close and stream.preceded(index, "cub", "::") and len(given) > max(order, default=-1):
            new = f"thrust::{name}<{', '.join(given[place] for place in order)}>"
            yield stream.edit(stream.qualified(index), close, new)


def rewrite_cub_debug_argument(code: Code, scope: Scope) -> Iterable[Edit]:
    """`cub::DeviceReduce::Sum(…, stream, true)`: whether to wait for every kernel."""
    for stream, index in code.names(r"Device[A-Z]\w+"):
        known = stream.preceded(index, "cub", "::") and stream.follows(index, "::")
        found = arguments_of(stream, index + 2, templates=True) if known else None
        if found is None or len(found[0]) < 4:
            continue
        (_, before), (start, end) = found[0][-2:]
        if end == start + 1 and stream[start].text in ("true", "false"):
            yield Edit(stream[before].start, stream[start].end, "")


def _shuffled(code: Code, scope: Scope, name: str) -> Iterable[Edit]:
    """One shuffle, where a scalar_t is shuffled in a file that dispatches at::Half.

    CUDA has them for float and for __half, and cannot choose.
    """
    for stream, index, given, _ in code.calls(f"__{name}") if code.has(_HALF) else ():
        # declared as a scalar_t, or a pointer to some, anywhere in the file
        places = stream.places.get(stream[given[1][0]].text, ()) if len(given) > 2 else ()
        if any(stream.preceded(stream.first_of(place, *_BETWEEN), "scalar_t") for place in places):
            yield stream.edit(index, index, f"ported_{name}")


RULES = entries(
    __file__, globals() | {f"rewrite_{i}": partial(_shuffled, name=n) for i, n in _NAMES["shuffles"].items()}
)
