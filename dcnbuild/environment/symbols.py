"""Which of the names that a library needs another library defines, by its own hash table.

A lookup costs a few reads, whatever the library's size: torch's define hundreds of thousands.
"""

from __future__ import annotations

import struct
from pathlib import Path

from dcnbuild.environment.elf import Elf, open_elf

_STB_WEAK = 2
_SYMBOL = struct.Struct("<IBBHQQ")


def undefined_symbols(path: Path) -> tuple[str, ...]:
    """The names that a library needs from others, weak ones left out."""
    with open_elf(path) as elf:
        table = elf.section(".dynsym") if elf else None
        texts = elf.section(".dynstr") if elf else None
        if elf is None or table is None or texts is None:
            return ()
        names = []
        end = min(table.offset + table.size, len(elf.data)) - _SYMBOL.size + 1
        for at in range(table.offset + _SYMBOL.size, end, _SYMBOL.size):
            name, info, _, section, _, _ = _SYMBOL.unpack_from(elf.data, at)
            if section == 0 and info >> 4 != _STB_WEAK:
                names.append(elf.text(texts.offset + name))
        return tuple(names)


def defined_among(path: Path, names: tuple[str, ...]) -> set[str] | None:
    """Those of the names that a library defines; None if its GNU hash table cannot be read."""
    with open_elf(path) as elf:
        if elf is None:
            return None
        try:
            return {name for name in names if _defines(elf, name)}
        except (_NoTable, struct.error):
            return None


class _NoTable(Exception):
    """The library has no .gnu.hash section."""


def gnu_hash(name: str) -> int:
    """The hash of a symbol in .gnu.hash sections. Source: glibc, elf/dl-lookup.c."""
    value = 5381
    for byte in name.encode():
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def _defines(elf: Elf, name: str) -> bool:
    hashes, table = elf.section(".gnu.hash"), elf.section(".dynsym")
    texts = elf.section(".dynstr")
    if hashes is None or table is None or texts is None:
        raise _NoTable
    buckets, first, bloom_words, shift = struct.unpack_from("<4I", elf.data, hashes.offset)
    if not buckets or not bloom_words:
        raise _NoTable
    value = gnu_hash(name)
    bloom_at = hashes.offset + 16
    (word,) = struct.unpack_from("<Q", elf.data, bloom_at + value // 64 % bloom_words * 8)
    if not (word >> value % 64 & word >> (value >> shift) % 64 & 1):
        return False
    buckets_at = bloom_at + bloom_words * 8
    (index,) = struct.unpack_from("<I", elf.data, buckets_at + value % buckets * 4)
    chains_at = buckets_at + buckets * 4
    while index >= first:
        (chained,) = struct.unpack_from("<I", elf.data, chains_at + (index - first) * 4)
        if chained | 1 == value | 1:
            symbol = _SYMBOL.unpack_from(elf.data, table.offset + index * _SYMBOL.size)
            if symbol[3] != 0 and elf.text(texts.offset + symbol[0]) == name:
                return True
        if chained & 1:  # the end of the chain
            break
        index += 1
    return False
