"""Reads and writes build.json, which lies beside built libraries and records how they were built."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dcnbuild.builder.sources import Artifact, library_file

FILE = "build.json"


@dataclass(frozen=True)
class LibraryRecord:
    """One built library.

    Attributes:
        source_hash: `sources.source_hash` of its sources.
        size: bytes of the file.
        digest: blake2b of the file.
        architectures: nvcc's names of its architectures; () for the CPU library.
        commands: the commands that built it, without this machine's directories (`compile.portable_commands`).
        toolkit: "CUDA 13.0"; None for the CPU library.
    """

    source_hash: str
    size: int
    digest: str
    architectures: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    toolkit: str | None = None


@dataclass(frozen=True)
class BuildRecord:
    """The contents of one build.json.

    Attributes:
        dcnbuild: the version of dcnbuild that built it.
        flavour: "stable" or "aten".
        torch: the torch it was built with, e.g. "2.14.1+cu130".
        torch_cuda: the CUDA of that torch, None for a CPU-only one.
        torch_cxx11_abi: the value of _GLIBCXX_USE_CXX11_ABI that torch was built with, None if not known.
        compiler: "gcc 12.2.0 (c++)".
        libraries: the built libraries.
        cuda_left_out: a sentence that says why there is no CUDA library; None if there is one.
    """

    dcnbuild: str
    flavour: str
    torch: str
    torch_cuda: str | None
    compiler: str
    libraries: dict[Artifact, LibraryRecord] = field(default_factory=dict)
    cuda_left_out: str | None = None
    torch_cxx11_abi: bool | None = None

    def write(self, directory: Path) -> None:
        """Writes build.json into a directory, whole or not at all."""
        handle, name = tempfile.mkstemp(dir=directory, prefix=FILE)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=1)
            file.write("\n")
        os.chmod(name, 0o644)
        os.replace(name, directory / FILE)


def read_record(directory: Path) -> BuildRecord | None:
    """Returns the build.json of a directory; None if there is none, or this version cannot read it."""
    if not (directory / FILE).is_file():  # opening a pipe would wait for a writer
        return None
    try:
        document = json.loads((directory / FILE).read_text(encoding="utf-8"))
        libraries = {name: LibraryRecord(**_with_tuples(values)) for name, values in document.pop("libraries").items()}
        return BuildRecord(**document, libraries=libraries)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def file_digest(path: Path) -> str:
    """Returns the hash of a library's file, as in its record."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def damage(directory: Path, library: Artifact, record: LibraryRecord, deep: bool) -> str | None:
    """Says how a library's file differs from its record, or None. An interrupted build leaves a short file.

    Args:
        directory: the directory of the library and its record.
        library: the library.
        record: its record.
        deep: compare the content too, not only the size.
    """
    path = directory / library_file(library)
    if path.exists() and not path.is_file():
        return f"{path} is no file"
    try:
        size = path.stat().st_size
        if size != record.size:
            return f"{path} has {size} bytes, expected {record.size}"
        if deep and file_digest(path) != record.digest:
            return f"{path} is not the file that was built: its hash differs"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None
