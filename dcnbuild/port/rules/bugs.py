"""Bugs that old extensions carry. They are reported; --fix-bugs repairs them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, indent_of, newline_of
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.rules.guards import NAMES, launches
from dcnbuild.port.stream import Stream

#: pad_h, padH, pad_height, h_pad, ph … and their partner for the other direction.
_PADDING = re.compile(
    r"(?:(?:\w*_)?pad(?:ding)?_?|p_?)(?P<last>h|H|height|Height|y|Y)_?|(?P<first>h|H|height)_?[pP]ad(?:ding)?"
)
_LAUNCH_CHECK = "C10_CUDA_KERNEL_LAUNCH_CHECK();"
_LOOKS = re.compile("|".join(NAMES["looks"]))
_PRINTS, _ANSWERS, _DATA = (frozenset(NAMES[key]) for key in ("prints", "answers", "data"))
_BACKWARD = re.compile(r"(?i)backward|bwd|bprop|grad")
_GRADIENT = re.compile("|".join(NAMES["gradients"]), re.I)


def rewrite_pad_h_twice(code: Code, scope: Scope) -> Iterable[Edit]:
    """`pad_h, pad_h` in a call, where the function has a pad_w as well."""
    for function in code.functions:
        words = code.between(*function.body)
        known = {p.name for p in function.parameters} | {t.text for t in words if t.kind == "name"}
        for before, first, comma, second, after in zip(words, words[1:], words[2:], words[3:], words[4:], strict=False):
            match = _PADDING.fullmatch(second.text) if first.text == second.text else None
            start, end = match.span("first" if match["first"] else "last") if match else (0, 0)
            partner = second.text[:start] + NAMES["partners"].get(second.text[start:end], "") + second.text[end:]
            alone = before.text in (",", "(") and comma.text == "," and after.text in (",", ")")
            if match and alone and partner in known:
                yield Edit(second.start, second.end, partner)


def rewrite_silent_cuda_error(code: Code, scope: Scope) -> Iterable[Edit]:
    """`err = cudaGetLastError(); if (err != cudaSuccess) { printf(…); }`"""
    for stream, index in code.names("cudaGetLastError|cudaPeekAtLastError"):
        first = stream.statement(index, ")")
        equal = next((i for i in range(first, index) if stream[i].text == "="), 0)
        body = index + 10
        if not stream.follows(index, "(", ")", ";", "if", "(") or not equal or body >= len(stream):
            continue
        variable = stream[equal - 1].text
        end = stream.partner[body] if stream[body].text == "{" else stream.ends[body]
        names = {token.text for token in stream[body:end] if token.kind == "name"}
        tested = sorted(stream.words(index + 6, 3)) == sorted([variable, "!=", "cudaSuccess"])
        if end < 0 or not tested or not stream.preceded(body, ")") or not names & _PRINTS or names & _ANSWERS:
            continue
        around = stream.around[first]
        if not stream.used(variable, end + 1, stream.partner[around] if around >= 0 else len(stream)):
            yield stream.edit(first, end, _LAUNCH_CHECK)


def rewrite_unchecked_launch(code: Code, scope: Scope) -> Iterable[Edit]:
    """Launches behind which nothing in the function looks at the error."""
    newline = newline_of(code.text)
    stream = code.live
    for function in (function for function in code.functions if not function.on_gpu):
        first, last = map(stream.at, function.body)
        starts = [first + index for index in launches(stream[first:last])]
        behind = ((i, stream[i]) for i in range(min(starts, default=last), last) if stream[i].kind == "name")
        looking = (i for i, token in behind if _LOOKS.fullmatch(token.text) or token.text in scope.checks)
        looks = max(looking, default=-1)
        for index in starts:
            end = stream.ends[index]
            begin = stream[stream.statement(index)]
            if end >= 0 and end >= looks and begin.text not in NAMES["braceless"]:
                yield stream.behind(end, f"{newline}{indent_of(code.text, begin.start)}{_LAUNCH_CHECK}")


def rewrite_gradient_not_contiguous(code: Code, scope: Scope) -> Iterable[Edit]:
    """A gradient whose elements are walked by pointer, though it may be expanded or transposed."""
    stream = code.live
    for function in code.functions:
        if function.on_gpu or not _BACKWARD.search(function.name):
            continue
        first, last = map(stream.at, function.body)
        for parameter in filter(_GRADIENT.fullmatch, function.tensors):
            places = code.uses(function, parameter)
            walked = any(_walks(stream, i, last) for i in places)
            if walked and not any(_is_made_sure(stream, i) for i in places):
                yield stream.behind(max(i for i in stream.places[parameter] if i < first), "_")
                new = f"{code.gap(function)}const at::Tensor {parameter} = {parameter}_.contiguous();"
                yield Edit(function.body[0], function.body[0], new)


def _is_made_sure(stream: Stream, index: int) -> bool:
    """Whether a tensor is made contiguous, assigned, or handed to a check here."""
    asked = any(stream.follows(index, *words) for words in ((".", "contiguous"), (".", "is_contiguous"), ("=",)))
    around = stream.around[index]
    called = stream[around - 1].text.upper() if around > 0 and stream[around].text == "(" else ""
    return asked or "CHECK" in called or "CONTIGUOUS" in called


def _walks(stream: Stream, index: int, last: int) -> bool:
    """Whether the elements of a tensor, or of a slice of it, are taken by pointer."""
    if stream.follows(index, ".") and stream[index + 2].text in _DATA:
        return True
    sliced = stream.follows(index, ".", "select") or stream.follows(index, "[")
    if not sliced or index < 2 or stream[index - 1].text != "=":
        return sliced and any(token.text in _DATA for token in stream[index : max(stream.ends[index], index)][:20])
    inside = (i for i in stream.places.get(stream[index - 2].text, ()) if index < i < last)
    return any(stream.follows(i, ".") and stream[i + 2].text in _DATA for i in inside)


RULES = entries(__file__, globals())
