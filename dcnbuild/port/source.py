"""Reads source files so that they can be written back byte for byte, and finds them."""

from __future__ import annotations

import codecs
import io
import os
import tokenize
from collections.abc import Iterator
from pathlib import Path

CPP_SUFFIXES = frozenset(
    {".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hh", ".hpp", ".hxx", ".inl", ".ipp"}
)
#: What a compiler is called for; the rest are headers.
COMPILED_SUFFIXES = frozenset({".c", ".cc", ".cpp", ".cxx", ".cu"})
PYTHON_SUFFIXES = frozenset({".py"})
#: Directories that hold no sources of the project's own.
SKIPPED = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        "__pycache__",
        "build",
        "dist",
        ".eggs",
        ".tox",
        ".nox",
        ".venv",
        "venv",
    }
)
#: Larger files are generated ones.
LARGEST = 2_000_000


class Unreadable(Exception):
    """A file that is no text, or too large; its message says which."""


def read_source(path: Path) -> tuple[str, str]:
    """The text of a file with its own line ends, and the encoding that gives the bytes back.

    A Python file is read as its coding line says; others as UTF-8, or as Latin-1 where they are not
    that: Latin-1 maps every byte to one sign and back. Raises Unreadable.
    """
    data = path.read_bytes()
    if len(data) > LARGEST:
        raise Unreadable(f"{len(data):,} bytes: taken for a generated file")
    if b"\0" in data:
        raise Unreadable("no text")
    encodings = ["utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8", "latin-1"]
    if path.suffix in PYTHON_SUFFIXES:
        try:
            declared = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        except SyntaxError:
            declared = "utf-8"
        encodings.insert(0, declared)
    for encoding in encodings:
        try:
            text = data.decode(encoding)
            if text.encode(encoding) == data:
                return text, encoding
        except (UnicodeError, LookupError):
            continue
    raise AssertionError("Latin-1 reads every byte")


def find_sources(root: Path) -> Iterator[Path]:
    """The C++, CUDA and Python files of a project, sorted; symlinks are left out."""
    if root.is_file():
        yield root
        return
    for directory, names, files in os.walk(root):
        names[:] = sorted(
            name for name in names if name not in SKIPPED and not name.endswith(".egg-info")
        )
        for name in sorted(files):
            path = Path(directory, name)
            if path.suffix in CPP_SUFFIXES | PYTHON_SUFFIXES and not path.is_symlink():
                yield path
