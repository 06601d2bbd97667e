"""Reads the head of a C++ function: its name, the number of its arguments, and their types."""

from __future__ import annotations

import re

from tools.knowledge.cpp_words import BUILT_IN_TYPES, is_name, skip


def function_name(words: list[str]) -> tuple[int, list[str]] | None:
    """Returns (index of the name, tokens between the parentheses) of a function's head."""
    at = 0
    depth = 0
    while at < len(words):
        word = words[at]
        if word == "operator":
            return None
        if word == "<" and at and is_name(words[at - 1]):
            depth += 1
        elif word == ">" and depth:
            depth -= 1
        elif word == "(":
            end = skip(words, at)
            name = words[at - 1] if at else ""
            before = words[at - 2] if at >= 2 else ""
            typed = before and before != "~" and (is_name(before) or before in _TYPE_ENDS or before == "::")
            macro = name.isupper() and "(" in words[end:]
            if not depth and name and is_name(name) and typed and not macro:
                return at - 1, words[at + 1 : end - 1]
            at = end
            continue
        elif word == ":" and not depth:
            break
        at += 1
    return None


#: The last token of a return type; ")" as in decltype(...) and PyAPI_FUNC(...).
_TYPE_ENDS = BUILT_IN_TYPES | {">", "*", "&", ")", "const", "constexpr"}


def parameters_of(tokens: list[str]) -> tuple[tuple[int, int], str]:
    """Returns ((least, most) arguments, the types as a text)."""
    parts: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        if token in ("(", "{", "<"):
            depth += 1
        elif token in (")", "}", ">"):
            depth -= 1
        if token == "," and depth <= 0:
            parts.append([])
        else:
            parts[-1].append(token)
    parts = [part for part in parts if part and part != ["void"]]
    least = 0
    types = []
    variadic = False
    for part in parts:
        if part[-1] == "." or part[:1] == ["."]:
            variadic = True
            continue
        default = "=" in part or any("DEFAULT" in word or word == "__dv" for word in part)
        least += not default
        types.append(_type(part))
    most = 99 if variadic else len(parts)
    return (least, most), ", ".join(types)


def _type(part: list[str]) -> str:
    for stop in ("=", "__dv"):
        if stop in part:
            part = part[: part.index(stop)]
    part = [word for word in part if word not in ("struct", "enum", "[]")]
    names = [word for word in part if word[0].isalpha() or word[0] == "_"]
    if len([word for word in names if word != "const"]) > 1 and is_name(part[-1]):
        part = part[:-1]
    return re.sub(r" ?([*&<>,]|::) ?", r"\1", " ".join(part))
