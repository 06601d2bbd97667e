"""Lists the declarations of a C++ header, by a scanner that needs no include path and no compiler.

It reads names at namespace and class scope and skips function bodies. So it can read headers of any age, with any
includes. It does not see names that macros make.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tools.knowledge.cpp_functions import function_name, parameters_of
from tools.knowledge.cpp_lines import read
from tools.knowledge.cpp_words import (
    assigned,
    before_base,
    enumerators,
    is_name,
    plain,
    specialised,
    without_template,
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
    """Yields the declarations of a header outside private sections and function bodies."""
    header = read(text)
    for macro in header.macros:
        target = re.fullmatch(r"(?:\w+\()?(\w+)\)?", macro.body)
        yield Declaration("", macro.name, "macro", macro.parameters, "", target[1] if target else "")
    yield from _Scanner(plain(header.tokens)).run()


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
        """Returns the tokens from the opening to the closing bracket; `at` is behind the opening one."""
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
        """Whether a brace after this statement opens a value, as in `int x = {1}` or `int x{1};`."""
        words = without_template(statement)
        if not words or self._scope_of(words) is not None or words[0] == "extern":
            return False
        if assigned(words) and "operator" not in words:
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
            head = before_base(rest)
            if ")" in head[-1:] or "=" in head:
                return None
            name = next((word for word in reversed(head) if is_name(word)), "")
            where = ("enum class" if scoped else "enum") if kind == "enum" else "class"
            return _Scope(name, where, kind != "class" or where != "class", typedef)
        return None

    def _open(self, statement: list[str]) -> Iterator[Declaration]:
        words = without_template(statement)
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
        if visible and scope.kind != "namespace" and scope.name and not specialised(words):
            yield self._declared(scope.name, "type")
        if scope.kind in ("enum", "enum class"):
            body = self._group("{", "}")[1:-1]
            where = scope.name if scope.kind == "enum class" else ""
            if visible:
                for name in enumerators(body):
                    yield self._declared(name, "enumerator", inside=where)
            yield from self._close(scope)
        else:
            self.scopes.append(scope)

    def _close(self, scope: _Scope) -> Iterator[Declaration]:
        """Yields the names between the closing brace of a type and its semicolon."""
        if scope.kind == "namespace":
            return
        names: list[str] = []
        while self.at < len(self.tokens) and self.tokens[self.at] not in (";", "}", "{"):
            names.append(self.tokens[self.at])
            self.at += 1
        if not self._visible():
            return
        for name in names:
            if is_name(name):
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
        words = without_template(statement)
        if not words or not self._visible():
            return
        if words[0] == "typedef":
            pointer = re.search(r"\( (?:\w+ )?\* (\w+)", " ".join(words))
            name = pointer[1] if pointer else next((w for w in reversed(words) if is_name(w)), "")
            target = words[2] if words[1:2] == ["struct"] and len(words) == 4 else ""
            if name:
                yield self._declared(name, "type", target=target)
        elif words[0] == "using":
            if "=" in words:
                target = "".join(words[words.index("=") + 1 :]) if len(words) < 12 else ""
                if is_name(words[1]):
                    yield self._declared(words[1], "type", target=target)
            elif words[1:2] != ["namespace"] and is_name(words[-1]):
                yield self._declared(words[-1], "name", target="".join(words[1:]))
        elif words[0] == "namespace":
            if "=" in words and is_name(words[1]):
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
        found = function_name(words)
        if found is None:
            if len(words) > 3 and words[1] == "(" and words[-2] == ")" and is_name(words[-1]):
                yield self._declared(words[-1], "variable")  # PyAPI_DATA(PyTypeObject) PyFrame_Type
            return
        at, parameters = found
        if at >= 2 and words[at - 1] == "::":
            return  # the definition of a class's member
        count, types = parameters_of(parameters)
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
            elif is_name(word) and depth <= 0:
                last = word
