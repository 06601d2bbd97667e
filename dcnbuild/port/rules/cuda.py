"""CUDA itself: calls and intrinsics that newer toolkits have dropped."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, newline_of, whole_line
from dcnbuild.port.rule import Scope, entries, rewrites


def rewrite_atomic_add_double(code: Code, scope: Scope) -> Iterable[Edit]:
    """The project's own atomicAdd(double*, double), where no #if takes it away."""
    newline = newline_of(code.text)
    for function in code.functions:
        types = [parameter.type.replace(" ", "") for parameter in function.parameters]
        if function.name != "atomicAdd" or types != ["double*", "double"]:
            continue
        path = code.layout.path_at(function.body[0])
        if any(token.text == "__CUDA_ARCH__" for line in path for token in line.tokens):
            continue
        start, end = whole_line(code.text, function.start, function.body[1] + 1)
        if start and code.text[start - 1] not in "\r\n":
            continue  # other code shares its line, where no #if can stand
        guard = "#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 600"
        text = code.text[start:end]
        last = "" if text.endswith(("\n", "\r")) else newline
        yield Edit(start, start, f"{guard}  // newer GPUs have their own{newline}")
        yield Edit(end, end, f"{last}#endif{newline}")


def rewrite_symbol_by_name(code: Code, scope: Scope) -> Iterable[Edit]:
    """`cudaMemcpyToSymbol("table", …)` for a symbol that this file defines."""
    for stream, index, given, _ in code.calls("cudaMemcpyToSymbol|cudaMemcpyFromSymbol|cudaGetSymbolAddress"):
        place = 0 if stream[index].text == "cudaMemcpyToSymbol" else 1
        if len(given) <= place:
            continue
        start, end = given[place]
        name = stream[start].text.strip('"')
        text = stream[start]
        alone = end == start + 1 and text.kind == "string" and text.text == f'"{name}"'
        if alone and name in code.live.places:
            yield Edit(text.start, text.end, name)


RULES = entries(__file__, rewrites(globals()))
