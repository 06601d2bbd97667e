"""Opens a wheel, a library or an installed package, and reads its needs."""

from __future__ import annotations

import email
import importlib.metadata
import json
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dcnbuild.audit.package import Binary, Package
from dcnbuild.machine.elf import cuda_architectures, open_elf
from dcnbuild.machine.facts import TorchInstall
from dcnbuild.machine.libraries import lacking_versions, read_library
from dcnbuild.machine.symbols import (
    PYTHON_C,
    TORCH_CXX,
    TORCH_SHIM,
    needed_versions,
    undefined_symbols,
)
from dcnbuild.machine.system import architecture

_LIBRARY = re.compile(r".+\.so(?:\.\d+)*$")
_NOTE = "build.json"
_WANTED = re.compile(rf"{_LIBRARY.pattern}|{_NOTE}$")
_SYMBOLS = (TORCH_CXX, TORCH_SHIM, PYTHON_C, re.compile(r"THP"))
#: More bytes than any metadata file has.
_MOST_TEXT = 1 << 22
_EXPECTED = "expected a wheel, a 64-bit Linux library (.so), or the name of an installed package"


class _Source(NamedTuple):
    """The files of a package; `note` is the build.json that dcnbuild writes beside its libraries."""

    kind: str
    name: str
    metadata: str
    tags: tuple[str, ...]
    files: Mapping[str, Path]
    note: Path | None = None


def read_package(text: str, torch: TorchInstall | None, env: Mapping[str, str]) -> Package:
    """Reads the argument of `dcnbuild audit`.

    Args:
        text: the path of a wheel or a library, or the name of an installed package.
        torch: the installed torch; None leaves `undefined` empty.
        env: the environment variables, for LD_LIBRARY_PATH.

    Raises ValueError if it is none of them, or a damaged wheel.
    """
    with _opened(text) as source:
        binaries, unreadable = [], []
        for name, path in sorted(source.files.items()):
            binary = _read_binary(name, path, torch, env)
            if binary is None:
                unreadable.append(name)
            else:
                binaries.append(binary)
        toolkit = _noted_toolkit(source.note)
    fields = email.message_from_string(source.metadata)
    return Package(
        name=source.name,
        kind=source.kind,
        tags=source.tags,
        torch=_torch_requirement(fields.get_all("Requires-Dist", [])),
        python=fields.get("Requires-Python"),
        toolkit=toolkit or _local_cuda(fields.get("Version", "")),
        binaries=tuple(binaries),
        unreadable=tuple(unreadable),
    )


@contextmanager
def _opened(text: str) -> Iterator[_Source]:
    path = Path(text)
    if path.suffix == ".whl" and path.is_file():
        with tempfile.TemporaryDirectory() as folder:
            yield _unpacked(path, Path(folder))
    elif path.is_file():
        with open_elf(path) as elf:
            if elf is None:
                raise ValueError(f"{text} is no 64-bit Linux library; {_EXPECTED}")
        yield _Source("library", path.name, "", (), {path.name: path}, _beside(path))
    elif re.fullmatch(r"[A-Za-z0-9][\w.-]*", text):
        yield _installed(text)
    else:
        raise ValueError(f"{text} is not there; {_EXPECTED}")


def _unpacked(path: Path, folder: Path) -> _Source:
    """Extracts a wheel's libraries, so that they can be mapped: only pages that are read then cost time."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if not item.is_dir()]
            wanted = [item for item in members if _WANTED.match(_base(item.filename))]
            needed, free = sum(item.file_size for item in wanted), shutil.disk_usage(folder).free
            if needed > free:
                raise ValueError(f"{path.name} unpacks to {needed} bytes, and {folder.parent} has {free} left")
            files = {}
            for i, item in enumerate(wanted):
                target = folder / str(i) / _base(item.filename)
                target.parent.mkdir()
                with archive.open(item) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file)
                files[item.filename] = target
            metadata = next((item for item in members if _is_metadata(item.filename)), None)
            if metadata is None or metadata.file_size > _MOST_TEXT:
                raise ValueError(f"{path.name} is no wheel: it has no .dist-info/METADATA")
            text = archive.read(metadata).decode("utf-8", "replace")
    # zlib.error: a member is damaged; RuntimeError: a member is encrypted
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(f"{path.name} is a damaged wheel: {error}") from error
    note = next((file for file in files.values() if file.name == _NOTE), None)
    libraries = {name: file for name, file in files.items() if file.name != _NOTE}
    return _Source("wheel", path.name, text, _tags_of_name(path.name), libraries, note)


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _is_metadata(name: str) -> bool:
    return re.fullmatch(r"[^/]+\.dist-info/METADATA", name) is not None


def _tags_of_name(name: str) -> tuple[str, ...]:
    """Returns the tags in a wheel's file name; dots separate several of a kind."""
    parts = name.removesuffix(".whl").split("-")
    if len(parts) not in (5, 6):
        return ()
    pythons, abis, platforms = (part.split(".") for part in parts[-3:])
    return tuple(f"{p}-{a}-{where}" for p in pythons for a in abis for where in platforms)


def _installed(name: str) -> _Source:
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise ValueError(f"{name} is neither a file nor an installed package") from None
    if found.files is None:
        raise ValueError(f"{name} has no list of its files; name its libraries (.so) instead")
    url = found.read_text("direct_url.json") or ""
    if '"editable": true' in url:
        where = re.search(r'"url": *"(?:file://)?([^"]*)"', url)
        place = f" from {where[1]}" if where else ""
        raise ValueError(f"{name} is installed as editable{place}; name its libraries (.so) there instead")
    files = {str(file): Path(str(found.locate_file(file))) for file in found.files if _LIBRARY.match(file.name)}
    tags = email.message_from_string(found.read_text("WHEEL") or "").get_all("Tag", [])
    metadata = found.read_text("METADATA") or found.read_text("PKG-INFO") or ""
    note = next((note for path in files.values() if (note := _beside(path))), None)
    return _Source("installed", f"{name} {found.version}", metadata, tuple(tags), files, note)


def _beside(library: Path) -> Path | None:
    note = library.with_name(_NOTE)
    return note if note.is_file() else None


def _read_binary(name: str, path: Path, torch: TorchInstall | None, env: Mapping[str, str]) -> Binary | None:
    with open_elf(path) as elf:
        if elf is None:
            return None
        machine, soname, needed = elf.machine, elf.soname, elf.needed
        run_paths, stack = elf.run_paths, elf.executable_stack
    # What a library of another machine needs is not to be searched for on this one.
    library = read_library(path, env, torch) if machine == architecture() else None
    return Binary(
        name=name,
        machine=machine,
        soname=soname,
        needed=needed,
        versions=tuple(sorted(set(needed_versions(path)))),
        run_paths=run_paths,
        executable_stack=stack,
        architectures=cuda_architectures(path),
        symbols=tuple(
            sorted(symbol for symbol in undefined_symbols(path) if any(pattern.match(symbol) for pattern in _SYMBOLS))
        ),
        missing=library.missing if library else (),
        undefined=library.undefined if library else (),
        lacking=lacking_versions(path, env, torch) if library else (),
    )


def _torch_requirement(requirements: list[str]) -> str | None:
    """Returns the specifier of torch among a package's requirements, "" for any; None if it does not require torch."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.name == "torch" and "extra" not in str(requirement.marker or ""):
            return str(requirement.specifier)
    return None


def _noted_toolkit(note: Path | None) -> str | None:
    """Returns the toolkit in a build.json: "CUDA 12.9" → "12.9"."""
    if note is None or note.stat().st_size > _MOST_TEXT:
        return None
    try:
        libraries = json.loads(note.read_text(encoding="utf-8"))["libraries"]
        named = [str(item["toolkit"]) for item in libraries.values() if item["toolkit"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return named[0].removeprefix("CUDA ") if named else None


def _local_cuda(version: str) -> str | None:
    """Returns the toolkit in a version's local part: "0.20.1+cu124" → "12.4"."""
    match = re.search(r"\+(?:.*[.])?cu(\d\d)(\d)", version)
    return f"{match[1]}.{match[2]}" if match else None
