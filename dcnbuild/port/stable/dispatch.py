"""AT_DISPATCH_* → THO_DISPATCH_V2 and its lists of types."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.types import NAMES

_TYPES = NAMES["dispatched"]
_SCALAR = "torch::headeronly::ScalarType::"
_NAME = re.compile(
    rf"AT_DISPATCH_(?P<types>{'|'.join(sorted(_TYPES, key=len, reverse=True))})"
    r"(?:_AND(?P<more>_HALF|\d*))?"
)


def rewrite_stable_dispatch(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index, spans, _ in code.calls(r"AT_DISPATCH_(?!SWITCH|CASE|V2|INDEX)\w+"):
        name = _NAME.fullmatch(stream[index].text)
        if name is None or stream[index].text in scope.own:
            continue
        values = [code.written(stream, start, end) for start, end in spans]
        more = 0 if name["more"] in (None, "_HALF") else int(name["more"] or 1)
        if len(values) < more + 3 and values[-1:] != ["__VA_ARGS__"]:
            continue
        extra = values[:more]
        if name["more"] == "_HALF":
            extra = [_SCALAR + "Half"]
        if name["types"] == "REDUCED_FLOATING_TYPES":
            extra += [_SCALAR + "Half", _SCALAR + "BFloat16"]
        lists = [f"AT_EXPAND({types})" for types in _TYPES[name["types"]]]
        first, body = stream[index], spans[more + 2 :]
        if not body:
            continue
        # the type, the name and the body stay where they are: another rule may be at work in them
        yield Edit(first.start, stream[spans[more][0]].start, "THO_DISPATCH_V2(")
        start, end = stream[body[0][0]].start, stream[body[-1][1] - 1].end
        inner = stream[body[0][0]].text == "(" and stream.partner[body[0][0]] == body[-1][1] - 1
        yield Edit(start, start, "AT_WRAP(" if inner else "AT_WRAP((")
        yield Edit(end, end, f"{')' if inner else '))'}, {', '.join([*lists, *extra])}")


def rewrite_stable_dispatch_switch(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names("AT_DISPATCH_SWITCH|AT_DISPATCH_CASE|AT_DISPATCH_V2"):
        if stream[index].text not in scope.own:
            start = stream[index].start
            yield Edit(start, start + 2, "THO")


RULES = entries(__file__, globals())
