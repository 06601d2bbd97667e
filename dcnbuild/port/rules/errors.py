"""Checks and error messages: AT_CHECK, AT_ERROR, AT_ASSERTM, THArgCheck and their printf formats."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stream import Stream

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
        kinds = [{token.kind for token in stream[start:end]} for start, end in given]
        position = next((n for n, found in enumerate(kinds) if n and found == {"string"}), 0)
        literal = [token.text for token in stream[slice(*given[position])]] if position else []
        joined = "".join(text[1:-1] for text in literal)
        values = given[position + 1 :]
        conversions = [match for match in _CONVERSION.finditer(joined) if match[1] != "%"]
        same = all(text[0] == '"' for text in literal) and all(match[1] in _SAME for match in conversions)
        if not conversions or len(conversions) != len(values) or not same:
            continue
        pieces, done = [], 0
        for match, span in zip(conversions, values, strict=True):
            pieces += [joined[done : match.start()], code.written(stream, *span)]
            done = match.end()
        words = [
            piece if number % 2 else '"' + piece.replace("%%", "%") + '"'
            for number, piece in enumerate([*pieces, joined[done:]])
            if number % 2 or piece
        ]
        yield stream.edit(given[position][0], values[-1][1] - 1, ", ".join(words))


def rewrite_check_comparison(code: Code, scope: Scope) -> Iterable[Edit]:
    """CHECK_EQ and its like, which torch's logging header had without a prefix."""
    there = scope.headers | code.headers
    theirs = (code.has(_TORCH) or any(map(_TORCH_HEADER.match, there))) and not any("glog" in h for h in there)
    for stream, index in code.names(r"D?CHECK_(?:EQ|NE|LT|LE|GT|GE|NOTNULL)") if theirs else ():
        if stream[index].text not in scope.own and stream.follows(index, "("):
            yield stream.before(index, "TORCH_")


def rewrite_check_semicolon(code: Code, scope: Scope) -> Iterable[Edit]:
    """`AT_ASSERT(a)` and the project's macros around it, as statements that no ";" ends."""
    macros = (macro for macro in code.layout.macros if macro.parameters is not None and macro.body)
    bodies = ((macro.name, Stream(macro.body)) for macro in macros)
    around = (name for name, b in bodies if b[0].text in _STATEMENTS and 0 < b.close_of(0) == len(b) - 1)
    stream = code.live
    for index in (index for name in (*_STATEMENTS, *around) for index in stream.places.get(name, ())):
        close = stream.close_of(index)
        first = index and stream[index - 1].text in (";", "{", "}", ")")
        if not first or close < 0 or close + 1 == len(stream):
            continue
        following = stream[close + 1]
        begins = following.text == "}" or (following.kind == "name" and following.text != "else")
        if begins and "\n" in code.text[stream[close].end : following.start]:
            yield stream.behind(close, ";")


RULES = entries(__file__, globals())
