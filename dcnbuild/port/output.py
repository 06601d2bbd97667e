"""Writes a ported project: into a new directory, or over the old files with a backup."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dcnbuild.port.result import FileResult
from dcnbuild.port.source import SKIPPED


class OutputError(Exception):
    """The result cannot be written; the message says why and what to do. Nothing was changed."""


def default_out(source: Path) -> Path:
    """Where a ported project goes unless the user says otherwise: `NAME-ported` beside it."""
    return source.with_name(f"{source.stem if source.is_file() else source.name}-ported")


def write_copy(source: Path, out: Path, files: Sequence[FileResult]) -> None:
    """Copies a project, or one file, to a directory that does not exist yet, with the new texts.

    The copy is put together beside its place and renamed at the end. Version control and build
    directories are left out. Raises OutputError.
    """
    source, out = source.resolve(), out.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(
            f"{out} exists already: name another directory with --out, or remove that one"
        )
    if out == source or (source.is_dir() and out.is_relative_to(source)):
        raise OutputError(f"{out} is inside {source}: name a directory outside it with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
        copy = Path(temporary, "copy")
        if source.is_dir():
            shutil.copytree(source, copy, symlinks=True, ignore=_ignored)
        else:
            copy.mkdir()
            shutil.copy2(source, copy / source.name)
        for result in files:
            if result.changed:
                _replace(copy / result.path, result)
        if out.exists():
            out.rmdir()
        copy.rename(out)


def _ignored(directory: str, names: list[str]) -> set[str]:
    return {name for name in names if name in SKIPPED or name.endswith(".egg-info")}


def write_in_place(source: Path, files: Sequence[FileResult], force: bool) -> Path | None:
    """Writes the new texts over the old, each by one rename, after all old ones have been copied.

    Args:
        source: the project or the file.
        files: what came out.
        force: whether to go on where git has changes that are not committed.

    Returns:
        the directory that holds the old files, or None if nothing had to be written. Raises
        OutputError.
    """
    base = (source.parent if source.is_file() else source).resolve()
    changed = [result for result in files if result.changed]
    if not changed:
        return None
    if not force:
        dirty = uncommitted(base)
        if dirty:
            shown = ", ".join(dirty[:3]) + (", …" if len(dirty) > 3 else "")
            raise OutputError(
                f"{base} has changes that are not committed ({shown}): commit or stash them, or say"
                " --force"
            )
    backup = _backup_directory(base)
    try:
        for result in changed:
            old = base / result.path
            if old.exists():
                kept = backup / result.path
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(old, kept)
    except OSError as error:
        raise OutputError(f"no backup can be made in {backup}: {error}") from error
    for result in changed:
        _replace(base / result.path, result)
    return backup


def _backup_directory(base: Path) -> Path:
    """A new directory beside the project: `NAME-before-port`, with a number if that is taken."""
    for number in range(1, 10_000):
        name = f"{base.name}-before-port" + (f"-{number}" if number > 1 else "")
        try:
            path = base.with_name(name)
            path.mkdir()
            return path
        except FileExistsError:
            continue
        except OSError as error:
            raise OutputError(f"no backup can be made beside {base}: {error}") from error
    raise OutputError(f"too many backups beside {base}: remove some of {base.name}-before-port-*")


def uncommitted(base: Path) -> list[str]:
    """What git says is changed or untracked below a directory; [] without git or a repository."""
    try:
        found = subprocess.run(
            ["git", "-C", str(base), "status", "--porcelain", "--", "."],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line[3:] for line in found.stdout.splitlines()] if found.returncode == 0 else []


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
