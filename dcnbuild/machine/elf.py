"""What a shared library says about itself: its machine, the libraries it needs, the GPU code inside it.

It reads 64-bit little-endian ELF files, the format of Linux on x86-64 and Arm64. Any other or damaged file gives None
or an empty result: every offset, length and count is compared with the file before it is used. Files are mapped, not
loaded, so only pages that are read cost time. Results are never larger than a few times the file.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcnbuild.machine.architectures import sorted_names

_SHT_NULL, _SHT_DYNAMIC, _SHT_NOBITS = 0, 6, 8
_DT_NULL, _DT_NEEDED, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 0, 1, 14, 15, 29
_PT_GNU_STACK, _PF_X = 0x6474E551, 1
#: e_machine → what `platform.machine()` calls it, and whether its stack is executable where the file says nothing.
_MACHINES = {62: ("x86_64", True), 183: ("aarch64", False)}
#: e_machine, e_phoff, e_phentsize, e_phnum; p_type, p_flags.
_START, _SEGMENT = struct.Struct("<18xH12xQ14xHH"), struct.Struct("<II")
#: e_shoff, e_shentsize, e_shnum, e_shstrndx; sh_name, sh_type, sh_flags, sh_offset, sh_size, sh_link; d_tag, d_val.
_HEADER = struct.Struct("<40xQ10xHHH")
_SECTION = struct.Struct("<IIQ8xQQI20x")
_ENTRY = struct.Struct("<QQ")
#: More than any real library has; a larger number means damage.
_MOST_DYNAMIC = 4096
_LONGEST_TEXT = 1 << 16

#: The first bytes of each container in the .nv_fatbin section.
_FATBIN_MAGIC = struct.pack("<I", 0xBA55ED50)
_CONTAINER = struct.Struct("<6xHQ")
_FATBIN_ENTRY = struct.Struct("<H2xIQ12xI8xQ")
_KIND_PTX, _KIND_CUBIN = 1, 2
#: Bits of an entry's flags. Measured on the output of nvcc 13.0 for sm_75 to sm_121a, compressed
#: and not.
_FLAG_EXACT, _FLAG_FAMILY = 1 << 20, 1 << 21


@dataclass(frozen=True)
class Section:
    """One section: its type, and the places of its name and its bytes in the file."""

    name_at: int
    type: int
    offset: int
    size: int
    link: int

    @property
    def end(self) -> int:
        """Returns the file offset behind it."""
        return self.offset + self.size


class Elf:
    """A mapped ELF file; `sections` are in the file's order, and lie inside the file.

    Attributes:
        machine: "x86_64", "aarch64", or "machine 243" for others.
        executable_stack: whether loading it makes the stack executable.
        soname: the text of DT_SONAME; None without one.
        needed: the texts of its DT_NEEDED entries.
        run_paths: those of DT_RUNPATH and DT_RPATH.

    Raises ValueError for a file that is not a 64-bit little-endian ELF file, or is damaged.
    """

    def __init__(self, data: mmap.mmap | bytes) -> None:
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("not a 64-bit little-endian ELF file")
        self.data = data
        # Texts may overlap, so a small file could contain gigabytes of them; real files stay far below this limit.
        self._unread_text = 4 * len(data) + (1 << 16)
        self.machine, self.executable_stack = self._read_start()
        self.sections = self._read_sections()
        entries = list(self._dynamic())
        self.soname = next(iter(self._dynamic_texts(entries, _DT_SONAME)), None)
        self.needed = self._dynamic_texts(entries, _DT_NEEDED)
        self.run_paths = self._dynamic_texts(entries, _DT_RUNPATH, _DT_RPATH)

    def _read_start(self) -> tuple[str, bool]:
        number, table, entry_size, count = self.read(_START, 0)
        name, executable = _MACHINES.get(number, (f"machine {number}", False))
        if count and entry_size < _SEGMENT.size:
            raise ValueError(f"program headers of {entry_size} bytes")
        for i in range(count):
            kind, flags = self.read(_SEGMENT, table + i * entry_size)
            if kind == _PT_GNU_STACK:
                executable = bool(flags & _PF_X)
        return name, executable

    def _read_sections(self) -> list[Section]:
        table, entry_size, count, names_index = self.read(_HEADER, 0)
        if count and entry_size < _SECTION.size:
            raise ValueError(f"section headers of {entry_size} bytes")
        rows = [self.read(_SECTION, table + i * entry_size) for i in range(count)]
        names_at = rows[names_index][3] if names_index < len(rows) else None
        sections = []
        for name, kind, _, offset, size, link in rows:
            if kind in (_SHT_NULL, _SHT_NOBITS):
                offset = size = 0
            elif offset + size > len(self.data):
                raise ValueError("a section reaches beyond the file")
            at = len(self.data) if names_at is None else names_at + name
            sections.append(Section(at, kind, offset, size, link))
        return sections

    def read(self, layout: struct.Struct, at: int, section: Section | None = None) -> tuple[Any, ...]:
        """Returns the numbers at a file offset. Raises ValueError if they are not inside the section or the file."""
        start, end = (section.offset, section.end) if section else (0, len(self.data))
        if not start <= at <= end - layout.size:
            raise ValueError(f"nothing to read at {at}")
        return layout.unpack_from(self.data, at)

    def section(self, name: str) -> Section | None:
        """Returns the section of this name, or None."""
        wanted = name.encode() + b"\0"
        return next((item for item in self.sections if self.holds(item.name_at, wanted)), None)

    def holds(self, at: int, content: bytes) -> bool:
        """Whether the file has these bytes at an offset."""
        return 0 <= at < len(self.data) and self.data[at : at + len(content)] == content

    def text(self, offset: int, section: Section) -> str:
        """Returns the NUL-terminated text at an offset into a section.

        Raises ValueError if it does not end inside the section, or is longer than any name.
        """
        start = section.offset + offset
        end = self.data.find(b"\0", start, min(section.end, start + _LONGEST_TEXT)) if offset >= 0 else -1
        self._unread_text -= max(end - start, 0)
        if end < 0 or self._unread_text < 0:
            raise ValueError(f"no text at {start}")
        return self.data[start:end].decode("utf-8", "replace")

    def _dynamic(self) -> Iterator[tuple[int, str]]:
        """Yields (tag, text) of the entries with a text in the file's dynamic section."""
        section = next((item for item in self.sections if item.type == _SHT_DYNAMIC), None)
        if section is None or section.link >= len(self.sections):
            return
        if section.size > _MOST_DYNAMIC * _ENTRY.size:
            raise ValueError(f"a dynamic section of {section.size} bytes")
        texts = self.sections[section.link]
        for at in range(section.offset, section.end - _ENTRY.size + 1, _ENTRY.size):
            tag, value = self.read(_ENTRY, at)
            if tag == _DT_NULL:
                return
            if tag in (_DT_NEEDED, _DT_SONAME, _DT_RUNPATH, _DT_RPATH):
                yield tag, self.text(value, texts)

    @staticmethod
    def _dynamic_texts(entries: list[tuple[int, str]], *tags: int) -> tuple[str, ...]:
        return tuple(text for tag in tags for found, text in entries if found == tag)


@contextmanager
def open_elf(path: Path) -> Iterator[Elf | None]:
    """Maps a file; gives None if it cannot be read, is not such an ELF file, or is damaged."""
    try:
        if not path.is_file():  # opening a pipe would wait for a writer
            yield None
            return
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (
        OSError,
        ValueError,
    ):  # ValueError: an empty file cannot be mapped, and a path cannot contain NUL
        yield None
        return
    with data:
        try:
            elf = Elf(data)
        except (ValueError, OverflowError):
            elf = None
        yield elf


def needed_libraries(path: Path) -> tuple[str, ...]:
    """Returns the names in the library's DT_NEEDED entries, e.g. `("libc10.so", "libc.so.6")`."""
    with open_elf(path) as elf:
        return elf.needed if elf else ()


def run_paths(path: Path) -> tuple[Path, ...]:
    """Returns the directories of DT_RUNPATH and DT_RPATH, with `$ORIGIN` replaced by the file's own directory."""
    with open_elf(path) as elf:
        texts = elf.run_paths if elf else ()
    origin = str(path.resolve().parent)
    return tuple(
        Path(entry.replace("${ORIGIN}", origin).replace("$ORIGIN", origin))
        for text in texts
        for entry in text.split(":")
        if entry
    )


def cuda_architectures(path: Path) -> tuple[str, ...]:
    """Returns the GPU architectures inside a shared library, e.g. `("sm_75", "sm_90", "compute_120")`.

    Reads the fatbin containers in its .nv_fatbin section; returns `()` if it has no GPU code. The containers' layout
    was measured on files that were compiled for this. Each entry's header names its architecture, even if its code is
    compressed.
    """
    with open_elf(path) as elf:
        section = elf.section(".nv_fatbin") if elf else None
        if elf is None or section is None:
            return ()
        return sorted_names(_fatbin_entries(elf.data, section))


def _fatbin_entries(data: mmap.mmap | bytes, section: Section) -> Iterator[str]:
    """Yields the architectures of the entries. Each step advances by at least a header, so a damaged file ends the
    loop.
    """
    at = section.offset
    while (at := data.find(_FATBIN_MAGIC, at, section.end)) >= 0 and at + 16 <= section.end:
        if (at - section.offset) % 8:  # containers start at multiples of eight, with padding between
            at += 1
            continue
        header_size, size = _CONTAINER.unpack_from(data, at)
        entry, at = at + header_size, at + max(header_size + size, 16)
        while entry + 48 <= min(at, section.end):
            kind, entry_header, payload, number, flags = _FATBIN_ENTRY.unpack_from(data, entry)
            if kind in (_KIND_PTX, _KIND_CUBIN) and 10 <= number < 1000:
                suffix = "a" if flags & _FLAG_EXACT else "f" if flags & _FLAG_FAMILY else ""
                yield f"{'sm' if kind == _KIND_CUBIN else 'compute'}_{number}{suffix}"
            entry += max(entry_header + payload, 16)
