"""Unpacks packages, and never writes outside the toolkit's directory.

It resolves every member before it writes it, through the links that already exist, from any package. It ignores an
archive's owners, setuid bits, devices and pipes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from dcnbuild.toolkit.programs import failed


class UnsafeMemberError(ValueError):
    """A member cannot be written inside the directory; the text names it and the reason."""


#: Errors of an impossible name, as opposed to a full or broken disk.
_NO_NAME = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ELOOP}


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Raises UnsafeMemberError for a name that the file system refuses."""
    try:
        yield
    except ValueError as error:  # the name has a NUL byte
        if isinstance(error, UnsafeMemberError):
            raise
        raise UnsafeMemberError(f"{name[:80]!r}: {error}") from error
    except OSError as error:
        if error.errno not in _NO_NAME:
            raise
        raise UnsafeMemberError(f"{name[:80]!r}: {error.strerror}") from error


def write_file(target: Path, name: str, source: IO[bytes], executable: bool) -> None:
    """Writes a member as a new file; replaces an existing file of this name.

    Raises UnsafeMemberError.
    """
    path = _place(target, name)
    with _named(name), path.open("xb") as file:
        shutil.copyfileobj(source, file)
    path.chmod(0o755 if executable else 0o644)


def write_link(target: Path, name: str, leads_to: str) -> None:
    """Makes a symbolic link, relative and inside the directory.

    Raises UnsafeMemberError.
    """
    path = _place(target, name)
    if leads_to[:1] in ("", "/") or not _is_inside(path.parent / leads_to, target):
        raise UnsafeMemberError(f"{name} is a link to {leads_to}")
    with _named(leads_to):
        path.symlink_to(leads_to)


def write_copy(target: Path, name: str, of: str) -> None:
    """Writes a hard link as a copy of a member that was written before.

    Raises UnsafeMemberError.
    """
    original = target / of
    if not _is_inside(original, target) or not original.is_file():
        raise UnsafeMemberError(f"{name} is a hard link to {of}, which is not there")
    if (target / name).resolve() == original.resolve():
        return  # it links to itself; replacing it would delete it
    path = _place(target, name)
    shutil.copy(original, path)


def _place(target: Path, name: str) -> Path:
    """Returns a member's path; makes its directory, and removes an existing file."""
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\0" in name:
        raise UnsafeMemberError(f"{name!r} leads outside")
    directory = target.joinpath(*parts[:-1])
    if not _is_inside(directory, target):
        raise UnsafeMemberError(f"{name} leads outside, behind a link")
    path = directory / parts[-1]
    try:
        with _named(name):
            directory.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # otherwise a write would follow a link
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise UnsafeMemberError(f"{name}: another member stands in its way") from error
    return path


def _is_inside(path: Path, target: Path) -> bool:
    try:
        return path.resolve().is_relative_to(target.resolve())
    except (OSError, RuntimeError, ValueError):
        # the path has a loop of links (RuntimeError before Python 3.13), or a NUL byte
        return False


def check_hash(path: Path, algorithm: str, expected: str, what: str) -> None:
    """Compares a downloaded file with the index's hash.

    Raises FindingError if they differ.
    """
    with path.open("rb") as file:
        found = _hash(file, algorithm)
    if found != expected.lower():
        raise failed(
            what,
            f"{path.name} is not what the index lists",
            (f"expected {algorithm} {expected}", f"found {algorithm} {found}", str(path)),
        )


def matches(path: Path, algorithm: str, expected: str) -> bool:
    """Whether a file exists and has this hash."""
    try:
        with path.open("rb") as file:
            return _hash(file, algorithm) == expected.lower()
    except OSError:
        return False


def _hash(file: IO[bytes], algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def refuse(members: list[str], package: str, what: str) -> None:
    """Raises FindingError if a package has members that lead outside the toolkit."""
    if members:
        raise failed(
            what,
            f"{package} holds files that cannot be written within the toolkit",
            tuple(members[:4]),
        )
