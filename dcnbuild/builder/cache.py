"""The JIT cache: a directory that only its owner can write, one subdirectory per built library.

An entry is made in a temporary directory beside its place, under an OS lock that dies with its holder, and
put there by one rename. So a build that was killed leaves nothing that a later start would trust or wait for.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dcnbuild.builder.record import LibraryRecord, damage, read_record
from dcnbuild.builder.sources import Library, library_file

#: A half-built entry: <key>.<random>.tmp
_PARTIAL = ".tmp"


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
    """Where the cache may be, best first: the user's cache directory, then one of ours among the temporary files.

    DCNBUILD_CACHE names it; else it is `dcnbuild` in XDG_CACHE_HOME or ~/.cache.
    """
    places = []
    if env.get("DCNBUILD_CACHE"):
        places.append(Path(env["DCNBUILD_CACHE"], "jit"))
    elif env.get("XDG_CACHE_HOME"):
        places.append(Path(env["XDG_CACHE_HOME"], "dcnbuild/jit"))
    elif env.get("HOME"):
        places.append(Path(env["HOME"], ".cache/dcnbuild/jit"))
    places.append(Path(tempfile.gettempdir(), f"dcnbuild-{os.getuid()}"))
    return tuple(places)


def check_private(directory: Path) -> None:
    """Raises UnusableCacheError unless this is a directory of ours that nobody else can write."""
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


def make_private(directory: Path) -> None:
    """Makes a cache directory, mode 0700, or raises UnusableCacheError if it cannot be used for writing."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableCacheError(f"{directory}: {error.strerror}") from error
    check_private(directory)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UnusableCacheError(f"{directory} cannot be written")


def writable_caches(env: Mapping[str, str]) -> Iterator[Path]:
    """The directories to build in, one after the other, with a warning for each that could not be used.

    The last one is new and serves this process alone. Raises UnusableCacheError if not even that can be made.
    """
    for directory in cache_directories(env):
        try:
            make_private(directory)
        except UnusableCacheError as error:
            warnings.warn(
                f"dcnbuild cannot cache compiled kernels there: {error}. "
                "Set DCNBUILD_CACHE to a directory of yours.",
                RuntimeWarning,
                stacklevel=2,
            )
            continue
        yield directory
    try:
        yield Path(tempfile.mkdtemp(prefix="dcnbuild-"))
    except OSError as error:
        raise UnusableCacheError(f"{tempfile.gettempdir()}: {error.strerror}") from error


def read_entry(directory: Path, library: Library) -> Entry | str:
    """The library in one directory, or why it cannot be used."""
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


def find_any(root: Path, prefix: str, library: Library) -> Entry | None:
    """The newest whole entry whose key starts like this."""
    try:
        check_private(root)
        candidates = [
            path for path in root.glob(f"{prefix}-*") if path.is_dir() and path.suffix != _PARTIAL
        ]
    except OSError:
        return None
    for directory in sorted(candidates, key=lambda path: path.stat().st_mtime, reverse=True):
        entry = read_entry(directory, library)
        if isinstance(entry, Entry):
            return entry
    return None


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
    with _locked(root / f"{key}.lock", waiting):
        entry = read_entry(root / key, library)
        # even with force: what was built while we waited for the lock is as new as it can be
        if isinstance(entry, Entry) and (not force or entry.path.stat().st_mtime > started):
            return entry
        _remove_partial(root, key)
        partial = Path(tempfile.mkdtemp(dir=root, prefix=f"{key}.", suffix=_PARTIAL))
        try:
            build(partial)
            _put_in_place(partial, root / key)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    entry = read_entry(root / key, library)
    if isinstance(entry, str):
        raise OSError(entry)
    return entry


@contextlib.contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Holds a lock of the operating system, which lets go of it when its holder dies in any way."""
    import filelock

    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0.5, poll_interval=0.05)
    except filelock.Timeout:
        waiting()
        lock.acquire(poll_interval=0.1)
    try:
        yield
    finally:
        lock.release()


def _remove_partial(root: Path, key: str) -> None:
    """Clears away what killed builds of this key have left; the lock says that none is going on."""
    for left in root.glob(f"{key}.*{_PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)


def _put_in_place(partial: Path, place: Path) -> None:
    if place.exists():  # a damaged entry: moved, since who has it open may go on with it
        away = Path(tempfile.mkdtemp(dir=place.parent, prefix=f"{place.name}.", suffix=_PARTIAL))
        place.rename(away / "old")
        partial.rename(place)
        shutil.rmtree(away, ignore_errors=True)
    else:
        partial.rename(place)
