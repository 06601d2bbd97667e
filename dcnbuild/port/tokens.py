"""Splits C++ and CUDA source text into tokens that add up to the text again, byte for byte."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Literal, NamedTuple

Kind = Literal["space", "comment", "string", "char", "number", "name", "punct", "header", "text"]

_NEWLINE = r"(?:\r\n|\n|\r)"
#: Longest first. "<" and ">" stay single: whether ">>" closes two template lists or shifts is for
#: the reader of the tokens to say.
_PUNCT = r"\.\.\.|->\*|->|::|\#\#|\+\+|--|&&|\|\||[-+*/%^&|!=]=|[<>]=(?!=)"
_STRING = rf"""
      (?P<string>(?:u8|[uUL])?R"(?P<delimiter>[^()\\\s]{{0,16}})\(.*?(?:\)(?P=delimiter)"|\Z)
        |(?:u8|[uUL])?"(?:[^"\\\r\n]|\\(?:{_NEWLINE}|[^\r\n]))*") |"""
_CHAR = rf"""
      (?P<char>(?:u8|[uUL])?'(?:[^'\\\r\n]|\\(?:{_NEWLINE}|[^\r\n]))*') |"""


def _expression(quoted: str) -> re.Pattern[str]:
    return re.compile(
        rf"""
      (?P<space>(?:[ \t\f\v]|\\[ \t]*{_NEWLINE})+|{_NEWLINE})
    | (?P<comment>//(?:\\{_NEWLINE}|[^\r\n])*|/\*.*?(?:\*/|\Z))
    | {quoted}
      (?P<number>\.?[0-9](?:[eEpP][+-]|'?[0-9A-Za-z_]|\.)*)
    | (?P<name>[^\W\d]\w*)
    | (?P<punct>{_PUNCT}|.)
    """,
        re.VERBOSE | re.DOTALL,
    )


#: Which quotes are known to be open to the end of their line → what else may stand there.
_TOKENS = {"": _expression(_STRING + _CHAR), '"': _expression(_CHAR), "'": _expression(_STRING), "\"'": _expression("")}
_HEADER = re.compile(r"(?P<header><[^>\r\n]+>)")
_REST_OF_LINE = re.compile(rf"(?:\\[ \t]*{_NEWLINE}|[^\r\n])*")
_TEXT = re.compile(rf"(?P<text>(?:\\[ \t]*{_NEWLINE}|[^\r\n])+)")


class Token(NamedTuple):
    """One piece of the text.

    Attributes:
        kind: what it is; "text" is the free text after #error and the like, "header" an <include>.
        text: as it stands in the source.
        start: its offset.
        directive: the preprocessor directive it belongs to ("define", "include", …), or "".
        line: the number of that directive in the file, so that two of them are never mixed up; 0
            outside directives.
    """

    kind: Kind
    text: str
    start: int
    directive: str = ""
    line: int = 0

    @property
    def end(self) -> int:
        """The offset just behind it."""
        return self.start + len(self.text)

    @property
    def solid(self) -> bool:
        """Whether it is anything but white space or a comment."""
        return self.kind not in ("space", "comment")


#: Token(…) takes twice as long.
_make = tuple.__new__


def tokenize(text: str) -> list[Token]:
    """All tokens of a source; `"".join(token.text for token in tokens)` is the text.

    Never fails: what is no C++ comes out as single signs.
    """
    return list(_tokens(text))


def revised(tokens: Sequence[Token], text: str, spans: Sequence[tuple[int, int, int]]) -> list[Token]:
    """The tokens of an edited text, of which only the lines that edits touch are read again.

    Args:
        tokens: those of the text before.
        text: the text after.
        spans: the edits, in order: start and end before, and the length of what stands there now.
    """
    starts = [token[2] for token in tokens]
    directives = list(accumulate([token[4] for token in tokens], max))
    found: list[Token] = []
    done = edit = shift = more = 0  # since tokens[done], offsets and directives have moved so far

    def keep(until: int) -> None:
        kept = tokens[done:until]
        if shift or more:
            kept = [
                _make(Token, (k, piece, at + shift, name, line and line + more)) for k, piece, at, name, line in kept
            ]
        found.extend(kept)

    while edit < len(spans):
        first = bisect.bisect_right(starts, spans[edit][0])
        while first > done and not _ends_line(tokens[first - 1], spans[edit][0]):
            first -= 1
        keep(first)
        before = directives[first - 1] + more if first else 0
        done = len(tokens)
        for token in _tokens(text, found[-1].end if found else 0, before):
            found.append(token)
            before = token.line or before
            while edit < len(spans) and token.start >= spans[edit][0] + shift + spans[edit][2]:
                shift += spans[edit][2] - (spans[edit][1] - spans[edit][0])
                edit += 1
            following = spans[edit][0] + shift if edit < len(spans) else len(text)
            if _ends_line(token, following):
                old = bisect.bisect_left(starts, token.start - shift)
                there = tokens[old : old + 1]
                if there and there[0][:3] == ("space", token.text, token.start - shift):
                    done, more = old + 1, before - directives[old]
                    break
        else:
            break
    keep(len(tokens))
    return found


def _ends_line(token: Token, offset: int) -> bool:
    """Whether this token ends a line before an offset; a lone "\\r" may yet become "\\r\\n"."""
    return token.text in ("\n", "\r\n") and token.end <= offset


def _tokens(text: str, position: int = 0, directives: int = 0) -> Iterator[Token]:
    directive, line = "", 0
    fresh = True  # nothing but white space and comments since the line began
    named = False  # the directive's name has been read
    # A quote that nothing closes is looked for once a line: each further one would search as far.
    unclosed = {'"': 0, "'": 0}
    expression = _TOKENS[""]
    while position < len(text):
        match = _special(text, position, directive) if named else None
        match = match or expression.match(text, position)
        if match is None:  # cannot be: the last alternative takes any sign
            raise AssertionError(f"no token at offset {position}")
        kind, piece = match.lastgroup, match[0]
        if kind == "space" and piece[0] in "\r\n":
            directive, line, fresh, named = "", 0, True, False
            expression = _TOKENS[""]
        elif kind == "punct" and piece == "#" and fresh and not line:
            directives += 1
            line, directive, named = directives, "#", False
        elif kind == "punct" and piece in unclosed:
            if unclosed[piece] <= position:
                rest = _REST_OF_LINE.match(text, position)
                unclosed[piece] = rest.end() if rest else position
            expression = _TOKENS["".join(quote for quote in unclosed if unclosed[quote] > position)]
        yield _make(Token, (kind, piece, position, directive, line))
        position += len(piece)
        if kind == "space" or kind == "comment":
            continue  # a comment before "#" does not keep it from being a directive
        fresh = False
        if kind == "name" and directive == "#":
            directive, named = piece, True


def _special(text: str, position: int, directive: str) -> re.Match[str] | None:
    """What only a directive has: the <header> of an #include, the free text of an #error."""
    if directive in ("include", "include_next", "import"):
        return _HEADER.match(text, position)
    return _TEXT.match(text, position) if directive in ("error", "warning") else None
