"""Examines and filters the tokens of a C++ statement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

#: Macros that open and close namespaces, and their expansions.
_NAMESPACE_MACROS: Mapping[str, str] = {
    "THRUST_NAMESPACE_BEGIN": "namespace thrust {",
    "THRUST_NAMESPACE_END": "}",
    "CUB_NAMESPACE_BEGIN": "namespace cub {",
    "CUB_NAMESPACE_END": "}",
    "_LIBCUDACXX_BEGIN_NAMESPACE_STD": "namespace cuda :: std {",
    "_LIBCUDACXX_END_NAMESPACE_STD": "}",
    "_CCCL_BEGIN_NAMESPACE_CUDA_STD": "namespace cuda :: std {",
    "_CCCL_END_NAMESPACE_CUDA_STD": "}",
    "_LIBCUDACXX_BEGIN_NAMESPACE_CUDA": "namespace cuda {",
    "_LIBCUDACXX_END_NAMESPACE_CUDA": "}",
    "_CCCL_BEGIN_NAMESPACE_CUDA": "namespace cuda {",
    "_CCCL_END_NAMESPACE_CUDA": "}",
    "_CG_BEGIN_NAMESPACE": "namespace cooperative_groups {",
    "_CG_END_NAMESPACE": "}",
}
#: Words that name a built-in type.
BUILT_IN_TYPES = frozenset(
    [
        "void",
        "int",
        "char",
        "bool",
        "float",
        "double",
        "long",
        "short",
        "unsigned",
        "signed",
        "auto",
    ]
)
_NOT_NAMES = BUILT_IN_TYPES | frozenset(
    [
        "if",
        "for",
        "while",
        "switch",
        "return",
        "sizeof",
        "alignof",
        "decltype",
        "noexcept",
        "operator",
        "throw",
        "new",
        "delete",
        "const",
        "constexpr",
        "static",
        "inline",
        "virtual",
        "explicit",
        "friend",
        "typename",
        "template",
        "class",
        "struct",
        "enum",
        "union",
        "public",
        "private",
        "protected",
        "default",
        "volatile",
        "extern",
        "typedef",
        "using",
        "namespace",
        "static_assert",
        "requires",
        "concept",
        "this",
        "override",
        "final",
        "mutable",
    ]
)
_ATTRIBUTE = re.compile(
    r"__attribute__$|__declspec$|alignas$|__align__$|__launch_bounds__$|__CUDA_DEPRECATED|CUDART_DEPRECATED|"
    r"\w*DEPRECATED\w*$|\w*_NONNULL$|\w*_ALIGN\w*$|_CCCL_\w+$|_LIBCUDACXX_\w+$|requires$|__builtin_align__$|"
    r"__nv_\w+__$|C10_\w+_ATTR$|\w*ANNOTATE\w*$|\w*_VISIBILITY\w*$"
)


def is_name(word: str) -> bool:
    return (word[0].isalpha() or word[0] == "_") and word not in _NOT_NAMES


def plain(tokens: list[str]) -> list[str]:
    """Returns the tokens without attributes, and with namespace macros expanded."""
    changes = {word for word in set(tokens) if word in _NAMESPACE_MACROS or _ATTRIBUTE.match(word)}
    result: list[str] = []
    start = 0
    while True:
        at = next((at for at in range(start, len(tokens)) if tokens[at] in changes), len(tokens))
        result.extend(tokens[start:at])
        if at == len(tokens):
            return result
        opened = _NAMESPACE_MACROS.get(tokens[at])
        start = at + 1
        if opened is not None:
            result.extend(opened.split())
        elif tokens[start : start + 1] == ["("]:
            start = skip(tokens, start)


def skip(words: list[str], at: int) -> int:
    """Returns the index behind the bracket that opens at `at`."""
    depth = 0
    while at < len(words):
        depth += (words[at] == "(") - (words[at] == ")")
        at += 1
        if not depth:
            break
    return at


def without_template(words: list[str]) -> list[str]:
    """Returns a statement without `template <...>`."""
    while words[:1] == ["template"]:
        if words[1:2] != ["<"]:
            return []
        depth = 0
        at = 1
        while at < len(words):
            if words[at] == "(":
                at = skip(words, at)
                continue
            depth += (words[at] == "<") - (words[at] == ">")
            at += 1
            if not depth:
                break
        words = words[at:]
    return words


def assigned(words: list[str]) -> bool:
    """Whether the statement has an = outside brackets, which is not a default argument."""
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if word == "=" and not depth:
            return True
    return False


def before_base(words: list[str]) -> list[str]:
    """Returns the head of a class, up to its base classes and without template arguments."""
    head: list[str] = []
    depth = 0
    for word in words:
        depth += (word == "<") - (word == ">")
        if word == ":" and not depth:
            break
        if not depth and word not in ("final", ">"):
            head.append(word)
    return head


def specialised(words: list[str]) -> bool:
    head = words[: words.index(":")] if ":" in words else words
    return "<" in head


def enumerators(body: list[str]) -> Iterator[str]:
    expected = True
    depth = 0
    for token in body:
        depth += (token in "({") - (token in ")}")
        if token == "," and not depth:
            expected = True
        elif expected and is_name(token):
            yield token
            expected = False
        elif expected and token not in ("(", ")"):
            expected = False
