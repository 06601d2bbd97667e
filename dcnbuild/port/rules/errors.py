"""Checks and error messages: AT_CHECK, AT_ERROR, AT_ASSERTM, THArgCheck and their printf formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.layout import Macro
from dcnbuild.port.rule import Scope, entries, rewrites
from dcnbuild.port.stream import Stream
from dcnbuild.port.tokens import Token

#: What tells a source that uses torch.
_TORCH = r"at|torch|c10|AT_[A-Z_]+|TORCH_[A-Z_]+|TH\w+"
_TORCH_HEADER = re.compile(r"(?:torch|ATen|c10|THC?)/")
_CHECKS = r"TORCH_CHECK|TORCH_INTERNAL_ASSERT|AT_ASSERTM|AT_CHECK"
#: Checks that had braces of their own, and are `do … while (false)` today. TORCH_CHECK has braces.
_STATEMENTS = ("AT_ASSERT", "AT_ASSERTM", "AT_ERROR")
#: Conversions that print the same through operator<<. %x, %o, %e and %p do not.
_CONVERSION = re.compile(r"%[-+ 0]*\d*(?:\.\d+)?(?:hh|h|ll|l|z|j|t)?([a-zA-Z%])")
_SAME = frozenset("diufgsc")


def rewrite_printf_message(code: Code, scope: Scope) -> Iterable[Edit]:
    """Messages with as many conversions as arguments, taken apart."""
    for stream, _, given, _ in code.calls(_CHECKS):
        for position, (start, end) in enumerate(given):
            if not position or start == end or stream[start].kind != "string":
                continue
            literal = stream[start:end]
            if all(token.kind == "string" for token in literal):
                edit = _split(code, stream, literal, given[position + 1 :])
                if edit:
                    yield edit
                break


def _split(code: Code, stream: Stream, literal: Sequence[Token], values: list[tuple[int, int]]) -> Edit | None:
    if any(not token.text.startswith('"') for token in literal):
        return None
    joined = "".join(token.text[1:-1] for token in literal)
    conversions = [match for match in _CONVERSION.finditer(joined) if match[1] != "%"]
    if not conversions or len(conversions) != len(values):
        return None
    if any(match[1] not in _SAME for match in conversions):
        return None
    pieces, position = [], 0
    for match, span in zip(conversions, values, strict=True):
        pieces.append(joined[position : match.start()])
        pieces.append(code.written(stream, *span))
        position = match.end()
    pieces.append(joined[position:])
    words = [
        piece if number % 2 else '"' + piece.replace("%%", "%") + '"'
        for number, piece in enumerate(pieces)
        if number % 2 or piece
    ]
    last = stream[values[-1][1] - 1]
    return Edit(literal[0].start, last.end, ", ".join(words))


def rewrite_check_comparison(code: Code, scope: Scope) -> Iterable[Edit]:
    """CHECK_EQ and its like, which torch's logging header had without a prefix."""
    there = scope.headers | code.headers
    uses = any(map(_TORCH_HEADER.match, there)) or code.has(_TORCH)
    if not uses or any("glog" in header for header in there):
        return
    for stream, index in code.names(r"D?CHECK_(?:EQ|NE|LT|LE|GT|GE|NOTNULL)"):
        name = stream[index]
        if name.text not in scope.own and stream.follows(index, "("):
            yield Edit(name.start, name.start, "TORCH_")


def rewrite_check_before_else(code: Code, scope: Scope) -> Iterable[Edit]:
    """`if (a) TORCH_CHECK(…); else …`: the macro is an if itself, and would take the else."""
    stream = code.live
    for index in stream.places.get("TORCH_CHECK", ()):
        close = stream.close_of(index)
        if close > 0 and stream.follows(close, ";", "else"):
            yield stream.edit(index, close + 1, f"{{ {code.written(stream, index, close + 2)} }}")


def rewrite_check_semicolon(code: Code, scope: Scope) -> Iterable[Edit]:
    """`AT_ASSERT(a)` and the project's macros around it, as statements that no ";" ends."""
    ends = (macro for macro in code.layout.macros if macro.parameters is not None and _ends_in_check(macro))
    stream = code.live
    for name in (*_STATEMENTS, *(macro.name for macro in ends)):
        for index in stream.places.get(name, ()):
            close = stream.close_of(index)
            first = index and stream[index - 1].text in (";", "{", "}", ")")
            if not first or close < 0 or close + 1 == len(stream):
                continue
            following = stream[close + 1]
            begins = following.text == "}" or (following.kind == "name" and following.text != "else")
            if begins and "\n" in code.text[stream[close].end : following.start]:
                yield stream.behind(close, ";")


def _ends_in_check(macro: Macro) -> bool:
    """Whether a macro's body is one call of a check, with no ";" behind it."""
    body = Stream(macro.body)
    return bool(body) and body[0].text in _STATEMENTS and 0 < body.close_of(0) == len(body) - 1


RULES = entries(__file__, rewrites(globals()))
