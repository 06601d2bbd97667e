"""Splits C++ headers into comments, directives and tokens, as far as a list of their names needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_ASIDE = re.compile(
    r'//[^\n]*|/\*.*?\*/|(R"(?P<delimiter>[^(\s]*)\(.*?\)(?P=delimiter)"|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])')",
    re.DOTALL,
)
_TOKEN = re.compile(r'[A-Za-z_]\w*|::|->|\d[\w.\']*|"|[^\s\w]')
_DEFINE = re.compile(r"#\s*define\s+(\w+)(\([^)]*\))?\s*(.*)", re.DOTALL)


#: Conditions that hold only in the library's own build or its documentation.
_HIDDEN = re.compile(
    r"#\s*(?:if\s+0\b|if\s+defined\s*\(\s*(?:__CUDA_API_VERSION_INTERNAL|__DOXYGEN_ONLY__|DOXYGEN\w*)"
    r"|ifdef\s+(?:__CUDA_API_VERSION_INTERNAL|_?DOXYGEN\w*))"
)


@dataclass
class Macro:
    """A #define: `parameters` as (least, most) for a function-like one, and its body."""

    name: str
    parameters: tuple[int, int] | None
    body: str


@dataclass
class Header:
    """A header without comments: its macros, its #include lines, and the tokens of the rest."""

    macros: list[Macro] = field(default_factory=list)
    includes: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)


def read(text: str) -> Header:
    """Splits a header. If the branches of an #if open different braces, keeps the first."""
    header = Header()
    text = text.replace("\\\r\n", " ").replace("\\\n", " ")
    text = _ASIDE.sub(lambda match: '""' if match[1] and match[1][0] != "'" else " ", text) + "\n"
    # groups: for each open #if, its list of branches; a branch is a list of lines
    groups: list[list[list[str]]] = [[[]]]
    hidden: list[bool] = []  # for each group, whether its first branch is internal
    for line in text.split("\n"):
        stripped = line.lstrip()
        if not stripped.startswith("#"):
            groups[-1][-1].append(line)
            continue
        directive = re.match(r"#\s*(\w+)", stripped)
        word = directive[1] if directive else ""
        if word in ("if", "ifdef", "ifndef"):
            groups.append([[]])
            hidden.append(bool(_HIDDEN.match(stripped)))
        elif word in ("else", "elif"):
            groups[-1].append([])
        elif word == "endif" and len(groups) > 1:
            branches = groups.pop()
            groups[-1][-1].extend(_merged(branches[1:] if hidden.pop() else branches))
        elif word == "define":
            _define(header, stripped)
        elif word == "include":
            header.includes.append(stripped)
    while len(groups) > 1:
        branches = groups.pop()
        groups[-1][-1].extend(_merged(branches))
    header.tokens = _TOKEN.findall("\n".join(line for branch in groups[0] for line in branch))
    return header


def _merged(branches: list[list[str]]) -> list[str]:
    texts = ["\n".join(branch) for branch in branches]
    balanced = all(text.count("{") == text.count("}") and text.count("(") == text.count(")") for text in texts)
    complete = all(text.rstrip()[-1:] in ("", ";", "}") for text in texts)
    if len(branches) <= 1 or (balanced and complete):
        return [line for branch in branches for line in branch]
    return max(branches, key=lambda branch: bool("".join(branch).strip()))


def _define(header: Header, line: str) -> None:
    match = _DEFINE.match(line)
    if not match:
        return
    count = None
    if match[2]:
        names = [name for name in match[2][1:-1].split(",") if name.strip()]
        variadic = bool(names) and names[-1].strip().endswith("...")
        count = (len(names) - variadic, 99 if variadic else len(names))
    header.macros.append(Macro(match[1], count, match[3].strip()))
