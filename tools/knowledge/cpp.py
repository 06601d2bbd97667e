"""Lists what a C++ header declares: a scanner that needs no include path and no compiler.

It reads names at namespace and class scope and skips function bodies, so that headers of any age
can be read, whatever they include. What it does not see: names that macros make.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tools.knowledge.cpp_lines import read

#: Macros that open and close namespaces, and what they stand for.
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
_NOT_NAMES = frozenset(
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


@dataclass(frozen=True)
class Declaration:
    """A name that a header declares.

    Attributes:
        scope: the namespaces and classes around it, e.g. "thrust" or "cudaDeviceProp"; "" for none.
        name: without its scope.
        kind: "function", "macro", "enumerator", "type", "variable", "member" or "name" (of a using).
        parameters: (least, most) arguments of a function or macro; None for everything else.
        signature: the types of a function's parameters as one text.
        target: for a macro or alias that stands for one other name, that name.
    """

    scope: str
    name: str
    kind: str
    parameters: tuple[int, int] | None = None
    signature: str = ""
    target: str = ""


def declarations(text: str) -> Iterator[Declaration]:
    """Everything that a header declares outside of private sections and function bodies."""
    header = read(text)
    for macro in header.macros:
        target = re.fullmatch(r"(?:\w+\()?(\w+)\)?", macro.body)
        yield Declaration(
            "", macro.name, "macro", macro.parameters, "", target[1] if target else ""
        )
    yield from _Scanner(_plain(header.tokens)).run()


@dataclass
class _Scope:
    name: str
    kind: str  # namespace, class, enum, or other
    public: bool = True
    typedef: bool = False


class _Scanner:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.scopes: list[_Scope] = []

    def run(self) -> Iterator[Declaration]:
        statement: list[str] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            self.at += 1
            if token == "(":
                statement.extend(self._group("(", ")"))
            elif token == "[":
                group = self._group("[", "]")
                if group[1:2] != ["["]:
                    statement.append("[]")
            elif token == "{":
                yield from self._open(statement)
                statement = [] if not self._is_initializer(statement) else statement
                if statement:
                    self._group("{", "}")
            elif token == "}":
                statement = []
                if self.scopes:
                    yield from self._close(self.scopes.pop())
            elif token == ";":
                yield from self._statement(statement)
                statement = []
            elif token == ":" and statement and statement[-1] in ("public", "private", "protected"):
                if self.scopes:
                    self.scopes[-1].public = statement[-1] == "public"
                statement = []
            else:
                statement.append(token)

    # ---- scopes

    def _group(self, opening: str, closing: str) -> list[str]:
        """The tokens up to the closing bracket, both included; `at` stands behind the opening one."""
        start = self.at
        depth = 1
        tokens = self.tokens
        at = self.at
        end = len(tokens)
        while at < end and depth:
            token = tokens[at]
            if token == opening:
                depth += 1
            elif token == closing:
                depth -= 1
            at += 1
        self.at = at
        return [opening, *tokens[start:at]]

    def _is_initializer(self, statement: list[str]) -> bool:
        """Whether a brace after this opens a value, as in `int x = {1}` or `int x{1};`."""
        words = _without_template(statement)
        if not words or self._scope_of(words) is not None or words[0] == "extern":
            return False
        if _assigned(words) and "operator" not in words:
            return True
        return ")" not in words and self._visible()

    def _scope_of(self, words: list[str]) -> _Scope | None:
        typedef = words[:1] == ["typedef"]
        if typedef:
            words = words[1:]
        while words and words[0] in ("inline", "static", "const", "constexpr", "export"):
            words = words[1:]
        if words[:1] == ["namespace"]:
            return _Scope("".join(words[1:]), "namespace")
        if words[:1] == ["extern"] and words[1:2] == ['"']:
            return _Scope("", "namespace")
        kind = words[0] if words else ""
        if kind in ("class", "struct", "union", "enum"):
            rest = words[1:]
            scoped = kind == "enum" and rest[:1] in (["class"], ["struct"])
            rest = rest[1:] if scoped else rest
            head = _before_base(rest)
            if ")" in head[-1:] or "=" in head:
                return None
            name = next((word for word in reversed(head) if _is_name(word)), "")
            where = ("enum class" if scoped else "enum") if kind == "enum" else "class"
            return _Scope(name, where, kind != "class" or where != "class", typedef)
        return None

    def _open(self, statement: list[str]) -> Iterator[Declaration]:
        words = _without_template(statement)
        scope = self._scope_of(words)
        if scope is None:
            if self._is_initializer(statement):
                return
            if self._visible():
                yield from self._function(words)
            self._group("{", "}")
            if self.tokens[self.at : self.at + 1] == [";"]:
                self.at += 1
            return
        visible = self._visible()
        if visible and scope.kind != "namespace" and scope.name and not _specialised(words):
            yield self._declared(scope.name, "type")
        if scope.kind in ("enum", "enum class"):
            body = self._group("{", "}")[1:-1]
            where = scope.name if scope.kind == "enum class" else ""
            if visible:
                for name in _enumerators(body):
                    yield self._declared(name, "enumerator", inside=where)
            yield from self._close(scope)
        else:
            self.scopes.append(scope)

    def _close(self, scope: _Scope) -> Iterator[Declaration]:
        """The names between the brace that closes a type and its semicolon."""
        if scope.kind == "namespace":
            return
        names: list[str] = []
        while self.at < len(self.tokens) and self.tokens[self.at] not in (";", "}", "{"):
            names.append(self.tokens[self.at])
            self.at += 1
        if not self._visible():
            return
        for name in names:
            if _is_name(name):
                if scope.typedef:
                    yield self._declared(name, "type", target=scope.name)
                elif self._class():
                    yield self._declared(name, "member")

    def _class(self) -> bool:
        return bool(self.scopes) and self.scopes[-1].kind == "class"

    def _visible(self) -> bool:
        return all(scope.public for scope in self.scopes)

    def _declared(
        self,
        name: str,
        kind: str,
        parameters: tuple[int, int] | None = None,
        signature: str = "",
        inside: str = "",
        target: str = "",
    ) -> Declaration:
        names = [scope.name for scope in self.scopes if scope.name] + ([inside] if inside else [])
        return Declaration("::".join(names), name, kind, parameters, signature, target)

    # ---- statements

    def _statement(self, statement: list[str]) -> Iterator[Declaration]:
        words = _without_template(statement)
        if not words or not self._visible():
            return
        if words[0] == "typedef":
            pointer = re.search(r"\( (?:\w+ )?\* (\w+)", " ".join(words))
            name = pointer[1] if pointer else next((w for w in reversed(words) if _is_name(w)), "")
            target = words[2] if words[1:2] == ["struct"] and len(words) == 4 else ""
            if name:
                yield self._declared(name, "type", target=target)
        elif words[0] == "using":
            if "=" in words:
                target = "".join(words[words.index("=") + 1 :]) if len(words) < 12 else ""
                if _is_name(words[1]):
                    yield self._declared(words[1], "type", target=target)
            elif words[1:2] != ["namespace"] and _is_name(words[-1]):
                yield self._declared(words[-1], "name", target="".join(words[1:]))
        elif words[0] == "namespace":
            if "=" in words and _is_name(words[1]):
                yield self._declared(words[1], "name", target="".join(words[3:]))
        elif words[0] in ("friend", "static_assert", "extern") and words[1:2] == ['"']:
            yield from self._statement(words[3:] if words[2:3] == ['"'] else words[2:])
        elif words[0] in ("friend", "static_assert"):
            return
        elif words[0] in ("class", "struct", "union", "enum") and len(words) <= 2:
            return  # declared only
        elif "(" in words and not ("=" in words and words.index("=") < words.index("(")):
            yield from self._function(words)
        else:
            yield from self._variables(words)

    def _function(self, words: list[str]) -> Iterator[Declaration]:
        found = _function_name(words)
        if found is None:
            if len(words) > 3 and words[1] == "(" and words[-2] == ")" and _is_name(words[-1]):
                yield self._declared(words[-1], "variable")  # PyAPI_DATA(PyTypeObject) PyFrame_Type
            return
        at, parameters = found
        if at >= 2 and words[at - 1] == "::":
            return  # a definition of what was declared in a class
        count, types = _parameters(parameters)
        kind = "member" if self._class() else "function"
        if self._class() and words[at] == self.scopes[-1].name:
            return  # a constructor
        yield self._declared(words[at], kind, count, types)

    def _variables(self, words: list[str]) -> Iterator[Declaration]:
        if "=" in words:
            words = words[: words.index("=")]
        kind = "member" if self._class() else "variable"
        depth = 0
        last = ""
        for word in [*words, ","]:
            depth += (word == "<") - (word == ">")
            if word == "," and depth <= 0:
                if last and len(words) > 1:
                    yield self._declared(last, kind)
                last = ""
            elif word == ":" or word == "[]":
                if last:
                    yield self._declared(last, kind)
                    return
            elif _is_name(word) and depth <= 0:
                last = word


def _is_name(word: str) -> bool:
    return (word[0].isalpha() or word[0] == "_") and word not in _NOT_NAMES


def _plain(tokens: list[str]) -> list[str]:
    """Tokens without attributes and their brackets, and with namespaces that macros open."""
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
            start = _skip(tokens, start)


def _skip(words: list[str], at: int) -> int:
    """The place behind the bracket that opens at `at`."""
    depth = 0
    while at < len(words):
        depth += (words[at] == "(") - (words[at] == ")")
        at += 1
        if not depth:
            break
    return at


def _without_template(words: list[str]) -> list[str]:
    """A statement without `template <...>`."""
    while words[:1] == ["template"]:
        if words[1:2] != ["<"]:
            return []
        depth = 0
        at = 1
        while at < len(words):
            if words[at] == "(":
                at = _skip(words, at)
                continue
            depth += (words[at] == "<") - (words[at] == ">")
            at += 1
            if not depth:
                break
        words = words[at:]
    return words


def _assigned(words: list[str]) -> bool:
    """Whether an = stands outside of brackets, where no default argument is."""
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if word == "=" and not depth:
            return True
    return False


def _before_base(words: list[str]) -> list[str]:
    """The head of a class up to its base classes and without template arguments."""
    head: list[str] = []
    depth = 0
    for word in words:
        depth += (word == "<") - (word == ">")
        if word == ":" and not depth:
            break
        if not depth and word not in ("final", ">"):
            head.append(word)
    return head


def _specialised(words: list[str]) -> bool:
    head = words[: words.index(":")] if ":" in words else words
    return "<" in head


def _enumerators(body: list[str]) -> Iterator[str]:
    expected = True
    depth = 0
    for token in body:
        depth += (token in "({") - (token in ")}")
        if token == "," and not depth:
            expected = True
        elif expected and _is_name(token):
            yield token
            expected = False
        elif expected and token not in ("(", ")"):
            expected = False


def _function_name(words: list[str]) -> tuple[int, list[str]] | None:
    """(index of the name, tokens between its parentheses) of a function's head."""
    at = 0
    depth = 0
    while at < len(words):
        word = words[at]
        if word == "operator":
            return None
        if word == "<" and at and _is_name(words[at - 1]):
            depth += 1
        elif word == ">" and depth:
            depth -= 1
        elif word == "(":
            end = _skip(words, at)
            name = words[at - 1] if at else ""
            before = words[at - 2] if at >= 2 else ""
            typed = (
                before
                and before != "~"
                and (_is_name(before) or before in _TYPE_ENDS or before == "::")
            )
            macro = name.isupper() and "(" in words[end:]
            if not depth and name and _is_name(name) and typed and not macro:
                return at - 1, words[at + 1 : end - 1]
            at = end
            continue
        elif word == ":" and not depth:
            break
        at += 1
    return None


#: What a return type can end with; ")" as in decltype(...) and PyAPI_FUNC(...).
_TYPE_ENDS = frozenset(
    [
        ">",
        "*",
        "&",
        ")",
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
        "const",
        "constexpr",
    ]
)


def _parameters(tokens: list[str]) -> tuple[tuple[int, int], str]:
    """((least, most) arguments, the types as a text)."""
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
    if len([word for word in names if word != "const"]) > 1 and _is_name(part[-1]):
        part = part[:-1]
    return re.sub(r" ?([*&<>,]|::) ?", r"\1", " ".join(part))
