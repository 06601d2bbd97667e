"""What a shared library says about itself: the libraries it needs and the GPU code inside it.

Reads 64-bit little-endian ELF files, which is what Linux on x86-64 and Arm64 has; anything else
reads as None or empty. Files are mapped, not loaded: only the pages that are looked at cost
anything.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dcnbuild.architectures import sorted_names

_SHT_DYNAMIC = 6
_SHT_NOBITS = 8
_DT_NEEDED, _DT_RPATH, _DT_RUNPATH = 1, 15, 29

#: Starts each container in the .nv_fatbin section.
_FATBIN_MAGIC = 0xBA55ED50
_KIND_PTX, _KIND_CUBIN = 1, 2
#: Bits of an entry's flags. Measured on the output of nvcc 13.0 for sm_75 to sm_121a, compressed
#: and not.
_FLAG_EXACT, _FLAG_FAMILY = 1 << 20, 1 << 21


@dataclass(frozen=True)
class Section:
    """One section: its name, type, and where its bytes are in the file."""

    name: str
    type: int
    offset: int
    size: int
    link: int


class Elf:
    """A mapped ELF file; `sections` in the file's order."""

    def __init__(self, data: mmap.mmap) -> None:
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("not a 64-bit little-endian ELF file")
        self.data = data
        self.sections = self._read_sections()

    def _read_sections(self) -> list[Section]:
        table, entry_size, count, names_at = struct.unpack_from("<40xQ10xHHH", self.data)
        rows = [
            struct.unpack_from("<IIQQQQI", self.data, table + i * entry_size) for i in range(count)
        ]
        names = rows[names_at] if names_at < len(rows) else None
        return [
            Section(
                self.text(names[4] + row[0]) if names else "",
                row[1],
                row[4],
                0 if row[1] == _SHT_NOBITS else row[5],
                row[6],
            )
            for row in rows
        ]

    def section(self, name: str) -> Section | None:
        """The section of this name, or None."""
        return next((section for section in self.sections if section.name == name), None)

    def text(self, offset: int) -> str:
        """The NUL-terminated text at a file offset."""
        end = self.data.find(b"\0", offset)
        return self.data[offset : max(end, offset)].decode("utf-8", "replace")

    def dynamic(self, tag: int) -> list[str]:
        """The texts of all dynamic entries with this tag."""
        found = []
        for section in self.sections:
            if section.type != _SHT_DYNAMIC or section.link >= len(self.sections):
                continue
            texts = self.sections[section.link].offset
            for at in range(section.offset, section.offset + section.size - 15, 16):
                entry_tag, value = struct.unpack_from("<QQ", self.data, at)
                if entry_tag == tag:
                    found.append(self.text(texts + value))
        return found


@contextmanager
def open_elf(path: Path) -> Iterator[Elf | None]:
    """Maps a file; gives None where it cannot be read or is no such ELF file."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                elf = Elf(data)
            except (ValueError, OverflowError, struct.error):
                elf = None
            yield elf
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        yield None


def needed_libraries(path: Path) -> tuple[str, ...]:
    """The names in the library's DT_NEEDED entries, e.g. `("libc10.so", "libc.so.6")`."""
    with open_elf(path) as elf:
        return tuple(elf.dynamic(_DT_NEEDED)) if elf else ()


def run_paths(path: Path) -> tuple[Path, ...]:
    """The directories of DT_RUNPATH and DT_RPATH, with `$ORIGIN` replaced by the file's own."""
    with open_elf(path) as elf:
        texts = elf.dynamic(_DT_RUNPATH) + elf.dynamic(_DT_RPATH) if elf else []
    origin = str(path.resolve().parent)
    return tuple(
        Path(entry.replace("${ORIGIN}", origin).replace("$ORIGIN", origin))
        for text in texts
        for entry in text.split(":")
        if entry
    )


def cuda_architectures(path: Path) -> tuple[str, ...]:
    """The GPU architectures inside a shared library, e.g. `("sm_75", "sm_90", "compute_120")`.

    Read from the fatbin containers in its .nv_fatbin section; `()` if it holds no GPU code. The
    containers' layout was measured on files compiled for the purpose; each entry's header names its
    architecture, also where its code is compressed.
    """
    with open_elf(path) as elf:
        section = elf.section(".nv_fatbin") if elf else None
        if elf is None or section is None:
            return ()
        return sorted_names(_fatbin_entries(elf.data, section))


def _fatbin_entries(data: mmap.mmap, section: Section) -> Iterator[str]:
    at, end = section.offset, min(section.offset + section.size, len(data))
    while at + 16 <= end:
        magic, header_size, size = struct.unpack_from("<I2xHQ", data, at)
        if magic != _FATBIN_MAGIC:
            at += 8  # padding between containers, which start at multiples of eight
            continue
        entry, at = at + header_size, at + max(header_size + size, 16)
        while entry + 48 <= min(at, end):
            kind, entry_header, payload, number, flags = struct.unpack_from(
                "<H2xIQ12xI8xQ", data, entry
            )
            if kind in (_KIND_PTX, _KIND_CUBIN) and 10 <= number < 1000:
                suffix = "a" if flags & _FLAG_EXACT else "f" if flags & _FLAG_FAMILY else ""
                yield f"{'sm' if kind == _KIND_CUBIN else 'compute'}_{number}{suffix}"
            entry += max(entry_header + payload, 16)  # damaged files must not stop the walk
