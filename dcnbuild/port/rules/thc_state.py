"""THC's state: parameters of it, and variables that nothing uses any more."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, whole_line
from dcnbuild.port.pattern import arguments_of
from dcnbuild.port.rule import Scope, entries, rewrites
from dcnbuild.port.stream import Stream


def rewrite_thc_state_parameter(code: Code, scope: Scope) -> Iterable[Edit]:
    """THCState* parameters of the project's own functions, and what their callers pass."""
    if not scope.state_parameters:
        return
    for stream, index in code.names(r"\w+"):
        position = scope.state_parameters.get(stream[index].text)
        found = arguments_of(stream, index, templates=True) if position is not None else None  # launch<float>(state, …)
        if position is None or found is None or position >= len(found[0]):
            continue
        spans, close = found
        start, end = spans[position]
        words = stream.words(start, end - start)
        if "THCState" not in words and words != ["state"]:
            continue
        if position + 1 < len(spans):
            yield Edit(stream[start].start, stream[spans[position + 1][0]].start, "")
        else:
            first = stream[spans[position - 1][1]].start if position else stream[start].start
            yield Edit(first, stream[close].start, "")


def rewrite_thc_state(code: Code, scope: Scope) -> Iterable[Edit]:
    """Declarations of a THCState* that nothing uses any more."""
    stream = code.live
    places = stream.places.get("THCState", ())
    names = {stream[i + 2].text for i in places if i + 2 < len(stream) and stream.follows(i, "*")}
    for name in names:
        statements = [_declaration(code, index) for index in stream.places.get(name, [])]
        if any(statement is None for statement in statements):
            continue  # something unknown still takes it: that is left to a human as a whole
        yield from (Edit(*span, "") for span in statements if span)


def _declaration(code: Code, index: int) -> tuple[int, int] | None:
    """The statement that declares the state at this name, with its line if nothing else is there."""
    stream = code.live
    if index < 2 or stream[index - 1].text != "*" or stream[index - 2].text != "THCState":
        return None
    first = index - 2
    if first and stream[first - 1].text in ("extern", "static"):
        first -= 1
    if _in_parentheses(stream, first):
        return None
    last = index + 1
    while last < len(stream) and stream[last].text != ";":
        if stream[last].text in (",", "{", "}") or (last == index + 1 and stream[last].text != "="):
            return None
        last += 1
    if last == len(stream):
        return None
    return whole_line(code.text, stream[first].start, stream[last].end)


def _in_parentheses(stream: Stream, index: int) -> bool:
    """Whether a parenthesis is open here since the statement began: then it is no declaration to take away."""
    around = stream.around[index]
    return around >= 0 and stream[around].text == "("


RULES = entries(__file__, rewrites(globals()))
