"""To whom a symbol belongs, and which release brought a symbol version: owners.json, symbol_versions.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from dcnbuild.knowledge.rows import read


@dataclass(frozen=True)
class Owner:
    """One row; the fields are described at the head of tools/knowledge/written/owners.yaml."""

    names: tuple[str, ...]
    owner: str
    library: str
    package: str
    source: str
    note: str = ""


@dataclass(frozen=True)
class SymbolVersions:
    """The versions of one prefix; the fields are described at the head of
    tools/knowledge/written/symbol_versions.yaml.
    """

    prefix: str
    owner: str
    library: str
    versions: Mapping[str, str]
    source: str


@dataclass(frozen=True)
class NeededRelease:
    """What brought a symbol version: "GLIBCXX_3.4.29" → gcc, "11.1", libstdc++.so.6."""

    owner: str
    release: str
    library: str
    source: str


def rows() -> tuple[Owner, ...]:
    """Every row of owners.json."""
    return read("owners.json", Owner)


def of_symbol(symbol: str) -> Owner | None:
    """The owner of a symbol, demangled or of C; None if no row fits.

    Arguments, a return type and a symbol version ("ncclCommResume@GLIBC") are ignored. Of a name
    that is still mangled, the namespaces are read.
    """
    name = bare(symbol)
    return next((row for row in rows() if any(_whole(item, name) for item in row.names)), None)


def bare(symbol: str) -> str:
    """The qualified name in a symbol: "void c10::warn(c10::Warning const&)" → "c10::warn"."""
    name = symbol.strip().strip("\"'`‘’“”").split("@")[0]
    mangled = re.match(r"_Z(?:T[VISThvc]\d*|GV|Z)?(?:N[KVRO]*)?(.*)", name)
    if mangled:
        return "::".join(_mangled(mangled[1])) or name
    for start in ("vtable for ", "typeinfo for ", "typeinfo name for ", "guard variable for "):
        name = name.removeprefix(start)
    name = _without_brackets(name)
    if "operator" in name:
        return name[name.index("operator") :] if "::" not in name else name.split(" ")[-1]
    return name.split()[-1].lstrip("*&") if name.split() else name


def _without_brackets(name: str) -> str:
    """Without template arguments and a call's arguments: a::b<c>::d(e) → a::b::d."""
    name = name.replace("(anonymous namespace)", "{anonymous}")
    result: list[str] = []
    depth = 0
    for at, letter in enumerate(name):
        if letter in "<" and not name[:at].endswith("operator"):
            depth += 1
        elif letter == ">" and depth:
            depth -= 1
        elif letter == "(" and not depth:
            break
        elif not depth:
            result.append(letter)
    return "".join(result)


def _mangled(text: str) -> list[str]:
    """The identifiers that a mangled name starts with: "3c106detail4fail" → c10, detail, fail."""
    names = ["std"] if text.startswith("St") else []
    text = text.removeprefix("St")
    while (match := re.match(r"(\d+)", text)) and len(text) >= len(match[1]) + int(match[1]):
        end = len(match[1]) + int(match[1])
        names.append(text[len(match[1]) : end])
        text = text[end:]
    return names


def of_version(version: str) -> NeededRelease | None:
    """Which release brought a symbol version, e.g. "GLIBCXX_3.4.29", "CXXABI_1.3.13", "GLIBC_2.34".

    glibc names its symbol versions after its releases.
    """
    prefix, _, number = version.strip().partition("_")
    if prefix == "GLIBC" and re.fullmatch(r"2\.\d+(\.\d+)?", number):
        return NeededRelease("glibc", number, "libc.so.6", "glibc's symbol versions are its releases")
    for row in read("symbol_versions.json", SymbolVersions):
        if row.prefix == prefix and number in row.versions:
            return NeededRelease(row.owner, row.versions[number], row.library, row.source)
    return None


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _whole(pattern: str, name: str) -> bool:
    return _pattern(pattern).fullmatch(name) is not None
