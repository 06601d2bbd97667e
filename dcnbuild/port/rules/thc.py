"""The THC runtime: its stream, memory and small helpers, its state, and its arithmetic on half and float alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, whole_line
from dcnbuild.port.pattern import arguments_of
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stream import Stream

#: What THC's own names stand for.
_NAMES = beside(__file__, "thc_names.yaml")


def rewrite_thc_ceil_div(code: Code, scope: Scope) -> Iterable[Edit]:
    """THCCeilDiv; with `long` literals in it, both it and a std::min around it become int64_t."""
    for stream, index, _, close in code.calls("THCCeilDiv") if "THCCeilDiv" not in scope.own else ():
        wide = stream.has_long(index, close)
        yield stream.edit(index, index, "at::ceil_div<int64_t>" if wide else "at::ceil_div")
        if wide and any(stream.preceded(index, "std", "::", outer, "(") for outer in ("min", "max")):
            yield stream.behind(index - 2, "<int64_t>")


def rewrite_thcunn_launch_sizes(code: Code, scope: Scope) -> Iterable[Edit]:
    """GET_BLOCKS of THCUNN/common.h and its like, which torch keeps in a namespace now."""
    for stream, index in code.names("|".join(_NAMES["moved"])) if code.headers else ():
        from_header, namespace = _NAMES["moved"][stream[index].text]
        own = stream[index].text in scope.own or stream[index - 1].text == "::"
        if not own and any(header.startswith(from_header) for header in code.headers):
            yield stream.before(index, namespace)


def rewrite_thc_state_parameter(code: Code, scope: Scope) -> Iterable[Edit]:
    """THCState* parameters of the project's own functions, and what their callers pass."""
    for stream, index, spans, close in code.calls("|".join(scope.state_parameters), templates=True):  # f<T>(state, …)
        position = scope.state_parameters[stream[index].text]
        start, end = spans[position] if position < len(spans) else (0, 0)
        words = stream.words(start, end - start)
        if "THCState" not in words and words != ["state"]:
            continue
        if position + 1 < len(spans):
            yield Edit(stream[start].start, stream[spans[position + 1][0]].start, "")
        else:
            first = spans[position - 1][1] if position else start
            yield Edit(stream[first].start, stream[close].start, "")


def rewrite_thc_state(code: Code, scope: Scope) -> Iterable[Edit]:
    """Declarations of a THCState* that nothing uses any more."""
    stream = code.live
    places = stream.places.get("THCState", ())
    for name in {stream[i + 2].text for i in places if i + 2 < len(stream) and stream.follows(i, "*")}:
        statements = [_declaration(code, index) for index in stream.places.get(name, [])]
        if None not in statements:  # else something unknown still takes it: that is left to a human as a whole
            yield from (Edit(*span, "") for span in statements if span)


def _declaration(code: Code, index: int) -> tuple[int, int] | None:
    """The statement that declares the state at this name, with its line if nothing else is there."""
    stream = code.live
    if index < 2 or not stream.preceded(index, "THCState", "*"):
        return None
    first = index - 2 - (stream.words(index - 3, 1) in (["extern"], ["static"]))
    around = stream.around[first]
    if around >= 0 and stream[around].text == "(":
        return None
    last = stream.ends[index + 1] if stream.words(index + 1, 1) in (["="], [";"]) else -1
    if last < 0 or {",", "{"} & set(stream.words(index + 1, last - index)):
        return None
    return whole_line(code.text, stream[first].start, stream[last].end)


def _members(code: Code, scope: Scope, owner: str) -> Iterator[tuple[Stream, int, int, int]]:
    """Each `Name<…>::member(`: its stream, and the indices of the name, the ">" and the member."""
    for stream, index in code.names(owner) if owner not in scope.own else ():
        close = stream.angles.get(index + 1, 0)
        if close and stream.follows(close, "::") and stream.follows(close + 2, "("):
            yield stream, index, close, close + 2


def rewrite_thc_numerics(code: Code, scope: Scope) -> Iterable[Edit]:
    """The outermost calls; those inside them are found when these are done."""
    for stream, index, angle, member in _members(code, scope, "THCNumerics"):
        found, name = arguments_of(stream, member), stream[member].text
        if found is not None:
            values = [code.written(stream, *span) for span in found[0]]
            form = _NAMES["members"].get(f"{name}/{len(values)}", "")
            new = form.format(*values, type=code.written(stream, index + 2, angle))
            new = f"::{name}({', '.join(values)})" if name in _NAMES["functions"] and values else new
            if new:
                yield stream.edit(index, found[1], new)


def rewrite_thc_scalar_convert(code: Code, scope: Scope) -> Iterable[Edit]:
    """`ScalarConvert<From, To>::to(a)`."""
    for stream, index, angle, member in _members(code, scope, "ScalarConvert"):
        words = stream.words(index + 2, angle - index - 2)
        if stream[member].text == "to" and "," in words and "<" not in words:
            target = code.written(stream, index + 3 + words.index(","), angle)
            yield stream.edit(index, member, f"static_cast<{target}>")


RULES = entries(__file__, globals())
