"""Finds a project's source files, and reads them so that they can be written back byte for byte."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import stat
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from dcnbuild.base.plain_yaml import beside

_NAMES = beside(__file__, "source.yaml")
#: What a compiler is called for; the rest of C++ are headers.
COMPILED_SUFFIXES = frozenset(_NAMES["compiled"])
CPP_SUFFIXES = COMPILED_SUFFIXES | frozenset(_NAMES["headers"])
PYTHON_SUFFIXES = frozenset(_NAMES["python"])
#: Larger files are data.
LARGEST = 20_000_000
_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}
_BOMS = {
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),  # the longer first
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}


class Unreadable(Exception):
    """A file that is no text, or too large; its message says which."""


@dataclass(frozen=True)
class Skipped:
    """A file or directory of a tree that is not looked at: why, and whether a copy holds it."""

    path: Path
    reason: str
    copied: bool = False


def is_script(path: PurePath) -> bool:
    """Whether a file is a build script in a language other than Python."""
    return path.name in _NAMES["script_names"] or path.suffix in _NAMES["script_suffixes"]


def is_source(path: PurePath) -> bool:
    """Whether a file is C, C++, CUDA, Python or a build script, by its name."""
    return path.suffix in CPP_SUFFIXES | PYTHON_SUFFIXES or is_script(path)


def read_source(path: Path) -> tuple[str, str]:
    """The text of a file with its own line ends, and the encoding that gives the bytes back.

    A Python file is read as its coding line says, UTF-16 and UTF-32 by their byte order mark or by
    where their zero bytes are; others as UTF-8, or as Latin-1 where they are not that: Latin-1 maps
    every byte to one sign and back. Raises Unreadable, and OSError.
    """
    size = path.stat().st_size
    if size > LARGEST:  # before it fills the memory
        raise Unreadable(f"{size:,} bytes are more than a source has")
    data = path.read_bytes()
    encodings = [*_wide(data), "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"]
    if path.suffix in PYTHON_SUFFIXES:
        with contextlib.suppress(SyntaxError):
            encodings.insert(0, tokenize.detect_encoding(io.BytesIO(data).readline)[0])
    for encoding in [*encodings, "latin-1"]:
        try:
            text = data.decode(encoding)
        except (UnicodeError, LookupError):
            continue
        if not is_wide(encoding) and text.encode(encoding) != data:
            continue
        controls = sum(map(text.count, "\0\1\2\3\4\5\6\7\x0e\x0f\x10\x11\x12\x13\x14\x15\x16"))
        if controls * 100 > len(text):
            raise Unreadable("it holds binary data")
        return text, encoding
    raise AssertionError("Latin-1 reads every byte")


def is_wide(encoding: str) -> bool:
    """Whether an encoding has more than one byte for every sign."""
    return encoding.startswith(("utf-16", "utf-32"))


def _wide(data: bytes) -> list[str]:
    """The encodings of that kind that these bytes may be in."""
    sample = data[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    most = len(sample) // 2 * 0.8
    guessed = ["utf-16-be" if even > most else "utf-16-le"] if most and (even > most) != (odd > most) else []
    return [encoding for encoding, marks in _BOMS.items() if data.startswith(marks)][:1] or guessed


def reason_of(error: Unreadable | OSError) -> str:
    """Why a file cannot be read."""
    said = error.strerror if isinstance(error, OSError) else str(error)
    return said or "it cannot be read"


def why_skipped(path: Path) -> Skipped | None:
    """Why a directory, or a file that is no regular one, is not looked at; None if it is."""
    mode = path.lstat().st_mode
    if not stat.S_ISDIR(mode):
        kind = _KINDS.get(stat.S_IFMT(mode))
        return Skipped(path, kind) if kind else None
    if path.name in _NAMES["version_control"]:
        return Skipped(path, "version control")
    if (path / "pyvenv.cfg").is_file() or (path / "conda-meta").is_dir():
        return Skipped(path, "a Python environment")
    if (path.parent / "setup.py").is_file() and _is_made(path):
        return Skipped(path, "made by setup.py")
    return Skipped(path, "not this project's code", True) if path.name in _NAMES["foreign"] else None


def _is_made(path: Path) -> bool:
    """Whether a directory beside a setup.py holds only what setuptools puts there."""
    names = os.listdir(path)
    expected = re.compile(_NAMES["made"].get(path.name, "(?!)"))
    whole = any("." in name for name in names) and all(map(expected.fullmatch, names))
    return "PKG-INFO" in names if path.name.endswith(".egg-info") else whole


def survey(root: Path) -> Iterator[Path | Skipped]:
    """The sources of a tree in order, and what of it is not looked at; links are not followed."""
    if root.is_file():
        yield root
        return
    errors: list[OSError] = []
    for directory, names, files in os.walk(root, onerror=errors.append):
        folders = {name: _try_skipped(Path(directory, name)) for name in sorted(names)}
        yield from (s for name, s in folders.items() if s and name != "__pycache__")
        names[:] = [name for name, skipped in folders.items() if skipped is None]
        for path in (Path(directory, name) for name in sorted(files)):
            if path.is_symlink() or path.name.startswith("._"):  # macOS puts it beside a file in an archive
                continue
            skipped = _try_skipped(path)
            if skipped or is_source(path):
                yield skipped or path
    yield from (Skipped(Path(error.filename), reason_of(error)) for error in errors)


def _try_skipped(path: Path) -> Skipped | None:
    try:
        return why_skipped(path)
    except OSError as error:
        return Skipped(path, reason_of(error))


def find_sources(root: Path) -> Iterator[Path]:
    """The C++, CUDA and Python files of a project, and its build scripts."""
    return (found for found in survey(root) if isinstance(found, Path))
