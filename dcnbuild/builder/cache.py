"""The JIT cache: a directory that only its owner can write, one subdirectory per built library.

An entry is made in a temporary directory beside its place, under a lock that dies with its holder, and put
there by one rename. So a build that was killed leaves nothing that a later start would trust or wait for.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dcnbuild.builder.record import FILE, LibraryRecord, damage, read_record
from dcnbuild.builder.sources import Library, library_file
from dcnbuild.machine import files, trust
from dcnbuild.machine.cache import cache_home, close_to_others, make_directory
from dcnbuild.machine.locking import locked

#: A half-built entry: <key>.<random>.tmp
_PARTIAL = ".tmp"
#: Directories that all may write in, beside TMPDIR's.
_SHARED = ("/var/tmp", "/dev/shm")
#: Where no lock keeps other machines out, what has not changed for so long is no build that is going on.
_ABANDONED_SECONDS = 86400.0


@dataclass(frozen=True)
class Entry:
    """A library that is whole, as far as its size and hash tell."""

    directory: Path
    library: Library
    record: LibraryRecord

    @property
    def path(self) -> Path:
        return self.directory / library_file(self.library)


class UnusableCacheError(OSError):
    """A cache directory cannot be made, or others can write it; the text says which and why."""


def cache_directories(env: Mapping[str, str]) -> tuple[Path, ...]:
    """Where the cache may be, best first: the user's cache directory, then ones of ours among the temporary files.

    `environment.cache` says where the first one is. The others stand in for it where it cannot be written, belongs to
    somebody else, or forbids that anything in it is executed.
    """
    home = cache_home(env)
    temporary = [
        Path(path, f"dcnbuild-{os.getuid()}") for path in (tempfile.gettempdir(), *_SHARED)
    ]
    if env.get("XDG_RUNTIME_DIR"):
        temporary.append(Path(env["XDG_RUNTIME_DIR"], "dcnbuild").absolute())
    return tuple(dict.fromkeys([*([home / "jit"] if home else []), *temporary]))


def check_private(directory: Path) -> None:
    """Raises UnusableCacheError unless this is a directory of ours from which only this user and root can load.

    That takes a directory that nobody else can write or replace, on a file system that lets libraries be loaded.
    """
    try:
        status = directory.lstat()
    except OSError as error:
        raise UnusableCacheError(f"{directory}: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise UnusableCacheError(f"{directory} is no directory")
    if status.st_uid != os.geteuid():
        raise UnusableCacheError(f"{directory} belongs to another user")
    if status.st_mode & 0o022:
        mode = oct(stat.S_IMODE(status.st_mode))
        raise UnusableCacheError(f"{directory} can be written by others (mode {mode})")
    reason = trust.untrusted(directory, ours=directory)
    if reason:
        raise UnusableCacheError(reason)
    if files.mounted_noexec(directory):
        raise UnusableCacheError(
            f"{directory} is on a file system that is mounted noexec, from which no library can be loaded"
        )


def make_private(directory: Path) -> None:
    """Makes a cache directory, mode 0700 like its parents, or raises UnusableCacheError if it cannot be written."""
    try:
        make_directory(directory)
    except OSError as error:
        raise UnusableCacheError(f"{directory}: {error.strerror}") from error
    check_private(directory)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UnusableCacheError(f"{directory} cannot be written")


def writable_caches(env: Mapping[str, str]) -> Iterator[Path]:
    """The directories to build in, one after the other, with a warning if the user's own could not be used.

    Among them is a new one, which serves this process alone. In the end it raises UnusableCacheError that says what is
    wrong with each.
    """
    reasons = []
    temporary = Path(tempfile.gettempdir(), f"dcnbuild-{os.getuid()}")
    for directory in cache_directories(env):
        try:
            make_private(directory)
        except UnusableCacheError as error:
            reasons.append(str(error))
            if len(reasons) == 1:  # the others only stand in for it
                warnings.warn(
                    f"dcnbuild cannot cache compiled kernels there: {error}. "
                    "Set DCNBUILD_CACHE to a directory of yours.",
                    RuntimeWarning,
                    stacklevel=2,
                )
        else:
            yield directory
        if directory == temporary:
            with contextlib.suppress(OSError):
                new = Path(tempfile.mkdtemp(prefix="dcnbuild-"))
                try:
                    check_private(new)
                except UnusableCacheError:
                    new.rmdir()
                else:
                    yield new
    raise UnusableCacheError("; ".join(reasons) or "no directory has room")


def read_entry(directory: Path, library: Library) -> Entry | str:
    """The library in one directory, or why it cannot be used.

    Neither the library nor its record is taken if another user could have put it there: an entry's name and its
    record can be foretold, and a cache that is private now may not have been so always.
    """
    for path in (directory / FILE, directory / library_file(library)):
        if not path.exists():
            return f"nothing built in {directory}"
        reason = trust.untrusted(path, ours=directory.parent)
        if reason:
            return reason
    record = read_record(directory)
    if record is None or library not in record.libraries:
        return f"nothing built in {directory}"
    found = record.libraries[library]
    return damage(directory, library, found, deep=True) or Entry(directory, library, found)


def find_entry(root: Path, key: str, library: Library) -> Entry | str:
    """The entry of a key in a cache that only we can write, or why there is none to use."""
    try:
        check_private(root)
    except UnusableCacheError as error:
        return str(error)
    return read_entry(root / key, library)


def find_all(root: Path, prefix: str, library: Library) -> Iterator[Entry]:
    """The whole entries whose key starts like this, newest first."""
    try:
        check_private(root)
    except UnusableCacheError:
        return
    dated = []
    for path in files.children(root, f"{prefix}-*"):
        with contextlib.suppress(OSError):  # removed in this moment
            if path.is_dir() and path.suffix != _PARTIAL:
                dated.append((path.stat().st_mtime, path))
    for _, directory in sorted(dated, reverse=True):
        entry = read_entry(directory, library)
        if isinstance(entry, Entry):
            yield entry


def build_entry(
    root: Path,
    key: str,
    library: Library,
    build: Callable[[Path], None],
    *,
    force: bool = False,
    waiting: Callable[[], None] = lambda: None,
) -> Entry:
    """The entry of a key, built if no other process has built it in the meantime.

    Args:
        root: the cache directory, which exists.
        key: names the entry.
        library: what it holds.
        build: compiles into the directory it is given and writes build.json there.
        force: build anew, whatever is there.
        waiting: called once if another process is building the same.

    Raises what `build` raises, OSError if the disk is full or read-only.
    """
    started = time.time()
    with locked(root / f"{key}.lock", waiting) as kept_out:
        entry = read_entry(root / key, library)
        # even with force: what was built while we waited for the lock is as new as it can be
        if isinstance(entry, Entry) and (not force or entry.path.stat().st_mtime > started):
            return entry
        _remove_partial(root, key, 0.0 if kept_out == "all" else _ABANDONED_SECONDS)
        partial = Path(tempfile.mkdtemp(dir=root, prefix=f"{key}.", suffix=_PARTIAL))
        try:
            build(partial)
            close_to_others(partial)
            _put_in_place(partial, root / key)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    entry = read_entry(root / key, library)
    if isinstance(entry, str):
        raise OSError(entry)
    return entry


def _remove_partial(root: Path, key: str, age: float) -> None:
    """Clears away what killed builds of this key have left, if it has this age in seconds.

    Where the lock keeps all others out, no such build is going on.
    """
    for left in root.glob(f"{key}.*{_PARTIAL}"):
        try:
            old = time.time() - left.stat().st_mtime >= age
        except OSError:
            continue
        if old or age == 0:
            shutil.rmtree(left, ignore_errors=True)


def _put_in_place(partial: Path, place: Path) -> None:
    """Renames a build to its place, from which a damaged entry, or another builder's, is moved away.

    Moved, since who has it open may go on with it.
    """
    for _ in range(5):  # without a lock, another builder may be quicker
        try:
            partial.rename(place)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        # within one directory, where the right to it is enough, whoever owns what stands there
        away = place.with_name(f"{place.name}.{os.urandom(6).hex()}{_PARTIAL}")
        with contextlib.suppress(FileNotFoundError):
            place.rename(away)
        if away.is_dir():
            shutil.rmtree(away, ignore_errors=True)
        else:
            away.unlink(missing_ok=True)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(place))
