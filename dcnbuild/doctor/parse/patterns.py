"""The shapes in which compilers say the same thing, as patterns for rules."""

from __future__ import annotations

import re

#: (a literal part that a matching line always holds, the regular expression). The literal part is
#: looked for first, which keeps reading fast; the reader asks that it contains one of its WORDS.
Pattern = tuple[str, str]

#: One quotation mark of any tool and language.
QUOTE = r"[\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a]"
#: Where a path or a word can begin. A pattern that starts with a run of characters starts with this,
#: or a long run would be searched again from each of its characters.
START = r"(?<![^\s:'\"(<>=\[])"
#: One letter of a path after START: none of those behind which another path can begin, so that a run of
#: them is read once.
LETTER = r"[^\s:'\"(<>=\[]"


#: A line of these kinds tells of something without being why the build stopped.
ASIDE = r"\b(?:warning|note)\b ?[:#]"
#: What a shell puts before its own messages: "/bin/sh: 1: ", "bash: line 3: ".
SHELL = r"(?:^|[\s/])(?:ba|da|z|k)?sh: (?:line )?(?:\d+: )?"


def missing_header(header: str) -> tuple[Pattern, ...]:
    """Patterns for "this header does not exist", with the group `header`.

    Args:
        header: a regular expression for the name as an #include gives it, without groups.
    """
    name = rf"(?P<header>{header})"
    return (
        ("No such file", rf"(?:^|[\s:]){name}\s?[:：] ?No such file"),  # gcc
        ("file not found", rf"{QUOTE}{name}{QUOTE} file not found"),  # clang
        ("cannot open source file", rf"cannot open source file {QUOTE}{name}{QUOTE}"),  # nvcc
        ("error C1083", rf"C1083\s?:.{{0,60}}?{QUOTE}{name}{QUOTE}"),  # MSVC
    )


def undeclared(names: str) -> tuple[Pattern, ...]:
    """Patterns for "this name is not known" in all compilers, with the group `name`.

    Args:
        names: a regular expression for the names, without groups.
    """
    quoted = rf"{QUOTE}(?:\w+::)*(?P<name>{names}){QUOTE}"
    return (
        ("was not declared", rf"{quoted} ?was not declared"),
        ("has not been declared", rf"{quoted} ?has not been declared"),
        ("does not name a type", rf"{quoted} ?does not name a type"),
        ("undeclared", rf"{quoted} ?undeclared \(first use"),
        ("error: implicit declaration", rf"error: implicit declaration of function {quoted}"),
        ("is undefined", rf"identifier {quoted} is undefined"),
        ("undeclared identifier", rf"use of undeclared identifier {quoted}"),
        ("unknown type name", rf"unknown type name {quoted}"),
        ("error C3861", rf"C3861\s?:\s{{0,3}}{quoted}"),
        ("error C2065", rf"C2065\s?:\s{{0,3}}{quoted}"),
    )


def unresolved(symbols: str) -> tuple[Pattern, ...]:
    """Patterns for "this symbol is nowhere" at link time, with the group `name`."""
    name = rf"(?P<name>{symbols})"
    return (
        ("undefined reference to", rf"undefined reference to {QUOTE}{name}"),
        (
            "unresolved external symbol",
            rf"unresolved external symbol .{{0,80}}?(?<![A-Za-z0-9])_*(?:imp_)?{name}",
        ),
    )


def words(*names: str) -> str:
    """A regular expression for exactly these names."""
    return "(?:" + "|".join(re.escape(name) for name in names) + ")"
