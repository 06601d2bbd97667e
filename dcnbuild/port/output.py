"""Writes a ported project: into a new directory, or over the old files with a backup."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from itertools import chain, count
from pathlib import Path

from dcnbuild.port.git import GitError, unrecorded
from dcnbuild.port.result import FileResult
from dcnbuild.port.source import why_skipped

#: How many bytes of a file with holes are copied at a time.
_PIECE = 1 << 20


class OutputError(Exception):
    """The result cannot be written; the message says why and what to do. Nothing was changed."""


def default_out(source: Path) -> Path:
    """Where a ported project goes unless the user says otherwise: `NAME-ported` beside it."""
    return source.with_name(f"{source.stem if source.is_file() else source.name}-ported")


def write_copy(source: Path, out: Path, files: Sequence[FileResult]) -> dict[Path, str]:
    """Copies a project, or one file, to a directory that does not exist yet, with the new texts.

    The copy is put together beside its place and renamed at the end. It holds every file but what
    `source.why_skipped` leaves out. Raises OutputError.

    Returns:
        what could not be copied, relative to the source, and why.
    """
    source, out = source.resolve(), out.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} exists already: name another directory with --out, or remove that one")
    if out == source or (source.is_dir() and out.is_relative_to(source)):
        raise OutputError(f"{out} is inside {source}: name a directory outside it with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    failed: dict[Path, str] = {}
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
        copy = Path(temporary, "copy")
        if source.is_dir():
            try:
                copy_tree(source, copy, _left_out)
            except shutil.Error as error:  # at the end, when everything else has been copied
                failed = {Path(name).relative_to(source): why.split(": ")[0] for name, _, why in error.args[0]}
        else:
            copy.mkdir()
            shutil.copy2(source, copy / source.name)
        for result in files:
            if result.changed:
                _replace(copy / result.path, result)
        if out.exists():
            out.rmdir()
        copy.rename(out)
    return failed


def copy_tree(source: Path, target: Path, ignore: Callable[[str, list[str]], set[str]] | None = None) -> None:
    """Copies a tree with its links as links and its holes as holes. Raises shutil.Error, and OSError."""
    shutil.copytree(source, target, symlinks=True, ignore=ignore, copy_function=copy_file)


def copy_file(source: str, target: str) -> None:
    """Copies a file with its times; what of it takes no space on the disk takes none in the copy."""
    found = os.stat(source)
    holes = getattr(found, "st_blocks", found.st_size) * 512 < found.st_size
    if not holes or not hasattr(os, "SEEK_DATA"):
        shutil.copy2(source, target)
        return
    with open(source, "rb", buffering=0) as old, open(target, "wb", buffering=0) as new:
        end = 0
        while end < found.st_size:
            try:
                start = old.seek(end, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:  # no data behind here
                    raise
                break
            end = old.seek(start, os.SEEK_HOLE)
            new.seek(old.seek(start))
            while data := old.read(min(end - old.tell(), _PIECE)):
                new.write(data)
        new.truncate(found.st_size)
    shutil.copystat(source, target)


def _left_out(directory: str, names: list[str]) -> set[str]:
    found = {name: why_skipped(Path(directory, name)) for name in names}
    return {name for name, skipped in found.items() if skipped and not skipped.copied}


def write_in_place(source: Path, files: Sequence[FileResult], force: bool) -> Path | None:
    """Writes the new texts over the old, each by one rename, after all old ones have been copied.

    Args:
        source: the project or the file.
        files: what came out.
        force: whether to go on where git has not recorded all changes.

    Returns:
        the directory that holds the old files, or None if nothing had to be written. Raises
        OutputError.
    """
    base = (source.parent if source.is_file() else source).resolve()
    changed = [result for result in files if result.changed]
    if not changed:
        return None
    if not force:
        try:
            dirty = unrecorded(base)
        except GitError as error:
            raise OutputError(f"whether git has all of {base} cannot be told ({error}): --force goes on") from error
        if dirty:
            shown = ", ".join(dirty[:3]) + (", …" if len(dirty) > 3 else "")
            raise OutputError(f"{base} has changes that are not in git ({shown}): commit or stash them, or say --force")
    try:
        backup = _backup_directory(base)
        for result in changed:
            old = base / result.path
            if old.exists():
                kept = backup / result.path
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(old, kept)
    except OSError as error:
        raise OutputError(f"no backup can be made beside {base}: {error}") from error
    for result in changed:
        _replace(base / result.path, result)
    return backup


def _backup_directory(base: Path) -> Path:
    """A new directory beside the project: `NAME-before-port`, with a number if that is taken."""
    names = (f"{base.name}-before-port{number}" for number in chain([""], (f"-{n}" for n in count(2))))
    path = next(path for path in map(base.with_name, names) if not os.path.lexists(path))
    path.mkdir()
    return path


def _replace(path: Path, result: FileResult) -> None:
    """Writes a file by renaming a finished one over it; its permissions stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(result.new.encode(result.encoding))
        if path.exists():
            shutil.copymode(path, name)
        else:
            Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
