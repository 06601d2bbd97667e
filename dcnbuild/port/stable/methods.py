"""Members of tensors: x.contiguous() → torch::stable::contiguous(x), x.data_ptr<T>() → a typed pointer."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, disjoint
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.expressions import Expressions, expressions
from dcnbuild.port.stable.operators import COMPOSED, OPERATORS, written
from dcnbuild.port.stable.pointers import is_constant
from dcnbuild.port.stable.spans import receiver, tensor_before
from dcnbuild.port.stable.types import NAMES, scope_of
from dcnbuild.port.stream import Stream

#: Members that are functions of torch::stable: name → how many arguments they take there, the tensor aside.
FUNCTIONS: dict[str, list[int]] = NAMES["functions"]


def _plain(stream: Stream, code: Code, start: int, end: int) -> bool:
    """Whether a receiver is a variable that may be changed: no constant, no macro's parameter."""
    if end != start + 1 or stream[start].kind != "name" or stream is not code.live:
        return False
    function = code.function_at(stream[start].start)
    if function is None:
        return False
    types = {p.name: p.type for p in function.parameters}
    name = stream[start].text
    if name in types:
        return "const" not in types[name].split()
    first = next((i for i in stream.places.get(name, []) if stream[i].start > function.start), 0)
    return "const" not in {token.text for token in stream[stream.statement(first, "(") : first]}


def rewrite_stable_member_function(code: Code, scope: Scope) -> Iterable[Edit]:
    yield from disjoint(_each_function(code, scope))


def _each_function(code: Code, scope: Scope) -> Iterable[list[Edit]]:
    stable = scope_of(scope)
    known = expressions(code, stable.signatures)
    names = "|".join({*FUNCTIONS, *OPERATORS, *COMPOSED})
    for stream, index, spans, close in code.calls(names):
        asked = tensor_before(code, stream, index)
        if asked is None:
            continue
        start, before = asked
        name, pointer = stream[index].text, before[0] == "*"
        kind = known.kind(stream, start, index - 1)
        if kind != ("optional" if pointer else "tensor") and not (kind is None and name in NAMES["only_tensors"]):
            continue
        values = [code.written(stream, *span) for span in spans]
        wanted = stable.target.has(name, "function") and len(values) in FUNCTIONS.get(name, ())
        if name == "fill_" and values and known.kind(stream, *spans[0]) == "tensor":
            wanted = False
        if name in NAMES["changed"] and (pointer or not _plain(stream, code, start, index - 1)):
            wanted = False
        if name in ("sum", "view") and any("ScalarType" in v or "::k" in v for v in values):
            wanted = False
        new = f"torch::stable::{name}({', '.join([before, *values])})" if wanted else ""
        new = new or written(name, known, code, stream, [(start, index - 1), *spans], before) or ""
        if new:
            yield [stream.edit(start, close, new)]


def rewrite_stable_member_name(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names("|".join(NAMES["renamed"])):
        if index and stream[index - 1].text in (".", "->") and stream.follows(index, "("):
            yield stream.edit(index, index, NAMES["renamed"][stream[index].text])


def rewrite_stable_data_pointer(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x.data_ptr<T>()`: one for reading where the place that it goes to is known to be const."""
    for stream, index in code.names("data_ptr"):
        if not index or stream[index - 1].text not in (".", "->", "template"):
            continue
        angle = stream.angles.get(index + 1) if stream.follows(index, "<") else None
        if angle is None or not stream.follows(angle, "(", ")"):
            continue
        constant = stream[index + 2].text == "const"
        if constant:
            yield Edit(stream[index + 2].start, stream[index + 3].start, "")
        reads = constant or is_constant(code, scope_of(scope), stream, index, angle + 2)
        new = "const_data_ptr" if reads else "mutable_data_ptr"
        yield stream.edit(index, index, new)


def rewrite_stable_index(code: Code, scope: Scope) -> Iterable[Edit]:
    """`x[i]` of a tensor is select(x, 0, i)."""
    known = expressions(code, scope_of(scope).signatures)
    yield from disjoint(_each_index(code, known))


def _each_index(code: Code, known: Expressions) -> Iterable[list[Edit]]:
    for stream in code.streams:
        for index, token in enumerate(stream):
            close = stream.partner[index] if token.text == "[" and index else -1
            if close < 0 or stream[index - 1].text in ("(", ",", "=", "return", "&", "{", "auto"):
                continue
            start = receiver(stream, index)
            if start is None or known.kind(stream, start, index) != "tensor":
                continue
            if start and stream[start - 1].text in ("Tensor", "&", "*"):
                continue  # a declaration of an array
            value = code.written(stream, index + 1, close)
            before = code.written(stream, start, index)
            if value and value[0] != "{" and known.kind(stream, index + 1, close) != "tensor":
                new = f"torch::stable::select({before}, 0, {value})"
                yield [stream.edit(start, close, new)]


def rewrite_stable_item(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names("item"):
        asked = tensor_before(code, stream, index)
        type, close = "", index
        angle = stream.angles.get(index + 1) if stream.follows(index, "<") else None
        if angle is not None and stream.follows(angle, "(", ")"):
            type, close = code.written(stream, index + 2, angle), angle + 2
        elif stream.follows(index, "(", ")", ".") and index + 6 < len(stream):
            to = stream[index + 4].text
            type, close = NAMES["items"].get(to.removeprefix("to"), ""), index + 6
        if type and asked is not None:
            yield stream.edit(asked[0], close, f"ported_item<{type}>({asked[1]})")


RULES = entries(__file__, globals())
