"""Names and symbol versions that a library needs, and which of them another library defines.

A lookup in a library's hash table costs a few reads, whatever its size: torch's define hundreds of thousands.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from dcnbuild.machine.elf import Elf, Section, open_elf

_STB_WEAK = 2
#: torch's C++ names (c10, at, torch, caffe2 in mangled form) change with every release; its C shims do not.
TORCH_CXX = re.compile(r"_Z\w*?(?:3c10|2at|5torch|6caffe2)")
TORCH_SHIM = re.compile(r"aoti_torch_|torch_")
#: CPython's C API.
PYTHON_C = re.compile(r"_?Py[A-Z_]")
_SYMBOL = struct.Struct("<IBBHQQ")
#: vn_cnt, vn_file, vn_aux, vn_next; vna_name, vna_next. Source: Linux Standard Base, "Symbol Versioning".
_VERNEED, _VERNAUX = struct.Struct("<2xHIII"), struct.Struct("<8xII")
_MOST_VERSIONS = 4096
_HASH_HEADER, _WORD, _NUMBER = struct.Struct("<4I"), struct.Struct("<Q"), struct.Struct("<I")


def undefined_symbols(path: Path) -> tuple[str, ...]:
    """Returns the names that a library needs from others, without weak ones."""
    with open_elf(path) as elf:
        table = elf.section(".dynsym") if elf else None
        texts = elf.section(".dynstr") if elf else None
        if elf is None or table is None or texts is None:
            return ()
        names = []
        try:
            last = table.end - _SYMBOL.size
            for at in range(table.offset + _SYMBOL.size, last + 1, _SYMBOL.size):
                name, info, _, section, _, _ = elf.read(_SYMBOL, at, table)
                if section == 0 and info >> 4 != _STB_WEAK:
                    names.append(elf.text(name, texts))
        except ValueError:  # the file is damaged
            return ()
        return tuple(names)


def needed_versions(path: Path) -> tuple[tuple[str, str], ...]:
    """The symbol versions that a library needs, e.g. `(("libc.so.6", "GLIBC_2.17"),)`; () for a damaged file."""
    with open_elf(path) as elf:
        table = elf.section(".gnu.version_r") if elf else None
        texts = elf.section(".dynstr") if elf else None
        if elf is None or table is None or texts is None:
            return ()
        try:
            return tuple(_versions(elf, table, texts))
        except ValueError:  # the file is damaged
            return ()


def _versions(elf: Elf, table: Section, texts: Section) -> Iterator[tuple[str, str]]:
    """Every link goes forward, and there is an end to their number, so that damage makes no circle."""
    at, left = table.offset, _MOST_VERSIONS
    while left:
        count, file, aux, following = elf.read(_VERNEED, at, table)
        library, entry = elf.text(file, texts), at + aux
        for _ in range(min(count, left)):
            name, after = elf.read(_VERNAUX, entry, table)
            yield library, elf.text(name, texts)
            entry, left = entry + after, left - 1
        if not following:
            return
        at += following


def lacks_version(path: Path, version: str) -> bool:
    """Whether a library can be read and does not define a symbol version, e.g. "GLIBCXX_3.4.32"."""
    with open_elf(path) as elf:
        texts = elf.section(".dynstr") if elf else None
        if elf is None or texts is None:
            return False
        return elf.data.find(b"\0" + version.encode() + b"\0", texts.offset, texts.end) < 0


def defined_among(path: Path, names: tuple[str, ...]) -> set[str] | None:
    """Returns those of the names that a library defines; None if its GNU hash table cannot be read."""
    with open_elf(path) as elf:
        if elf is None:
            return None
        try:
            return {name for name in names if _defines(elf, name)}
        except ValueError:  # the table is missing or damaged
            return None


def gnu_hash(name: str) -> int:
    """Returns the hash of a symbol for .gnu.hash sections. Source: glibc, elf/dl-lookup.c."""
    value = 5381
    for byte in name.encode():
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def _defines(elf: Elf, name: str) -> bool:
    hashes, table = elf.section(".gnu.hash"), elf.section(".dynsym")
    texts = elf.section(".dynstr")
    if hashes is None or table is None or texts is None:
        raise ValueError("no .gnu.hash section")
    buckets, first, bloom_words, shift = elf.read(_HASH_HEADER, hashes.offset, hashes)
    if not buckets or not bloom_words:
        raise ValueError("an empty .gnu.hash section")
    value = gnu_hash(name)
    bloom_at = hashes.offset + _HASH_HEADER.size
    (word,) = elf.read(_WORD, bloom_at + value // 64 % bloom_words * 8, hashes)
    if not (word >> value % 64 & word >> (value >> shift) % 64 & 1):
        return False
    buckets_at = bloom_at + bloom_words * 8
    (index,) = elf.read(_NUMBER, buckets_at + value % buckets * 4, hashes)
    chains_at = buckets_at + buckets * 4
    wanted = name.encode() + b"\0"
    while index >= first:
        (chained,) = elf.read(_NUMBER, chains_at + (index - first) * 4, hashes)
        if chained | 1 == value | 1:
            symbol = elf.read(_SYMBOL, table.offset + index * _SYMBOL.size, table)
            if symbol[3] != 0 and elf.holds(texts.offset + symbol[0], wanted):
                return True
        if chained & 1:  # the end of the chain
            break
        index += 1
    return False
