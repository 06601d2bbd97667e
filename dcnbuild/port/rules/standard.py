"""What C++17 and C++20 took away from sources that were written before: torch's headers need these standards."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stream import Stream

#: Names that came to namespace std, and words that stand before a name without declaring it.
_NAMES = beside(__file__, "standard_names.yaml")
_UTF8 = re.compile(r'u8(?=R?")')


def rewrite_utf8_text(code: Code, scope: Scope) -> Iterable[Edit]:
    """`const char* s = u8"…"`, whose signs are char8_t in C++20; without them it has the same bytes."""
    modern = not _UTF8.search(code.text) or code.has(r"char8_t|u8string\w*")
    for token in (token for stream in code.streams for token in stream) if not modern else ():
        if _UTF8.match(token.text):
            yield Edit(token.start, token.start + 2, "")


def rewrite_bool_increment(code: Code, scope: Scope) -> Iterable[Edit]:
    """`found++;` of a bool that the function declares."""
    stream = code.live
    for index in stream.places.get("bool", ()):
        function = code.function_at(stream[index].start, whole=True)
        if function is None or function.start >= stream[index].start:
            continue
        for start, _ in stream.parts(index + 1, max(stream.ends[index], index + 2)):
            uses = code.uses(function, stream[start].text, whole=True)
            alone = all(stream[i - 1].text == "bool" for i in uses if _declares(stream, i))
            for use in (use for use in uses if alone and stream.follows(use, "++", ";")):
                yield stream.edit(use + 1, use + 1, " = true")


def rewrite_template_constructor(code: Code, scope: Scope) -> Iterable[Edit]:
    """`A<T>(int n) {}` and `~A<T>() {}` inside the template A, and `A<T>::~A<T>() {}` behind it."""
    for stream in code.streams:
        for opening, close in stream.angles.items():
            name, brace = opening - 1, stream.around[opening]
            called = stream.follows(close, "(") and not stream.follows(close + 1, "*")
            if name < 2 or not called or stream[name - 1].text in _NAMES["makes"]:
                continue
            head = stream[stream.statement(brace) : brace] if brace > 0 and stream[brace].text == "{" else []
            named = (b.text for a, b in pairwise(head) if a.text in ("struct", "class"))
            if stream[name].text in named or stream.preceded(name, ">", "::", "~"):
                yield stream.edit(opening, close, "")


def rewrite_own_and_std(code: Code, scope: Scope) -> Iterable[Edit]:
    """A type or variable of the file's own whose name `using namespace std` brings from the library, too."""
    stream = code.live
    used = any(stream.preceded(index, "using", "namespace") for index in stream.places.get("std", ()))
    for places in (stream.places.get(name, ()) for name in _NAMES["of_std"] if used):
        declared = [index for index in places if _declares(stream, index)]
        if declared and all(stream.around[index] < 0 and not stream.follows(index, "(") for index in declared):
            free = (i for i in places if i not in declared and stream[i - 1].text not in (".", "->", "::"))
            yield from (stream.before(index, "::") for index in free)


def _declares(stream: Stream, index: int) -> bool:
    """Whether a name is declared here, as far as the tokens around it tell."""
    before, behind = stream[index - 1], "".join(stream.words(index + 1, 1))
    typed = before.kind == "name" and before.text not in _NAMES["before_uses"]
    pointer = before.text in ("*", "&", ">") and stream[index - 2].kind == "name"
    return index > 0 and (typed or pointer) and behind in (*"=;,)[({:",)


RULES = entries(__file__, globals())
