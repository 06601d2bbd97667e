"""The JIT cache: a directory that only its owner can write, with one subdirectory for each built library.

A build makes an entry in a temporary directory beside its place, and renames it. Its lock is released when its process
ends. So a killed build leaves nothing that a later process would trust or wait for.
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
from dcnbuild.builder.sources import Artifact, library_file
from dcnbuild.machine import files, trust
from dcnbuild.machine.cache import cache_home, close_to_others, make_directory
from dcnbuild.machine.locking import locked

#: A half-built entry: <key>.<random>.tmp
_PARTIAL = ".tmp"
#: Directories besides TMPDIR that every user may write.
_SHARED = ("/var/tmp", "/dev/shm")
#: Without a lock that other machines respect, a partial entry of this age no longer belongs to a running build.
_ABANDONED_SECONDS = 86400.0


@dataclass(frozen=True)
class Entry:
    """A built library whose size and hash match its record."""

    directory: Path
    library: Artifact
    record: LibraryRecord

    @property
    def path(self) -> Path:
        return self.directory / library_file(self.library)


class UnusableCacheError(OSError):
    """A cache directory cannot be made, or other users can write it; the text names the directory and the reason."""


def cache_directories(env: Mapping[str, str]) -> tuple[Path, ...]:
    """Returns the possible cache directories, best first: the user's, then directories among the temporary files.

    `dcnbuild.machine.cache` chooses the first. The others replace it if it cannot be written, belongs to another user,
    or its file system forbids executing files.
    """
    home = cache_home(env)
    temporary = [Path(path, f"dcnbuild-{os.getuid()}") for path in (tempfile.gettempdir(), *_SHARED)]
    if env.get("XDG_RUNTIME_DIR"):
        temporary.append(Path(env["XDG_RUNTIME_DIR"], "dcnbuild").absolute())
    return tuple(dict.fromkeys([*([home / "jit"] if home else []), *temporary]))


def check_private(directory: Path) -> None:
    """Raises UnusableCacheError unless nobody but this user and root can write or replace the directory.

    Its file system must also allow loading libraries.
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
    """Yields the directories to build in, one after the other; warns if the user's own cannot be used.

    One of them is a new directory, for this process only. In the end, raises UnusableCacheError with the reason against
    each.
    """
    reasons = []
    temporary = Path(tempfile.gettempdir(), f"dcnbuild-{os.getuid()}")
    for directory in cache_directories(env):
        try:
            make_private(directory)
        except UnusableCacheError as error:
            reasons.append(str(error))
            if len(reasons) == 1:  # a warning about the user's own cache is enough
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


def read_entry(directory: Path, library: Artifact) -> Entry | str:
    """Returns the library in one directory, or the reason not to use it.

    The library and its record must be files that no other user could have put there. An entry's name and record are
    predictable, and a cache that is private now may have been writable before.
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


def find_entry(root: Path, key: str, library: Artifact) -> Entry | str:
    """Returns the entry of a key in a private cache, or the reason why there is none."""
    try:
        check_private(root)
    except UnusableCacheError as error:
        return str(error)
    return read_entry(root / key, library)


def find_all(root: Path, prefix: str, library: Artifact) -> Iterator[Entry]:
    """Yields the valid entries whose keys have this prefix, newest first."""
    try:
        check_private(root)
    except UnusableCacheError:
        return
    dated = []
    for path in files.children(root, f"{prefix}-*"):
        with contextlib.suppress(OSError):  # another process removes it at this moment
            if path.is_dir() and path.suffix != _PARTIAL:
                dated.append((path.stat().st_mtime, path))
    for _, directory in sorted(dated, reverse=True):
        entry = read_entry(directory, library)
        if isinstance(entry, Entry):
            yield entry


def build_entry(
    root: Path,
    key: str,
    library: Artifact,
    build: Callable[[Path], None],
    *,
    force: bool = False,
    waiting: Callable[[], None] = lambda: None,
) -> Entry:
    """Returns the entry of a key; builds it unless another process has built it in the meantime.

    Args:
        root: the cache directory, which exists.
        key: names the entry.
        library: the library of the entry.
        build: compiles into the given directory and writes build.json there.
        force: build again, even if the entry exists.
        waiting: called once if another process is building the same.

    Raises the exceptions of `build`, and OSError if the disk is full or read-only.
    """
    started = time.time()
    with locked(root / f"{key}.lock", waiting) as kept_out:
        entry = read_entry(root / key, library)
        # even with force: an entry that was built while we waited for the lock is new enough
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
    """Removes partial entries of this key, which killed builds left, if they have at least this age in seconds.

    If the lock keeps all others out, no other build of the key is running.
    """
    for left in root.glob(f"{key}.*{_PARTIAL}"):
        try:
            old = time.time() - left.stat().st_mtime >= age
        except OSError:
            continue
        if old or age == 0:
            shutil.rmtree(left, ignore_errors=True)


def _put_in_place(partial: Path, place: Path) -> None:
    """Renames a build to its place; first moves a damaged entry, or another builder's, away.

    It moves the old entry rather than deleting it, since a process that has it open may still use it.
    """
    for _ in range(5):  # without a lock, another builder may put its entry there first
        try:
            partial.rename(place)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        # a rename inside one directory needs only the right to write the directory
        away = place.with_name(f"{place.name}.{os.urandom(6).hex()}{_PARTIAL}")
        with contextlib.suppress(FileNotFoundError):
            place.rename(away)
        if away.is_dir():
            shutil.rmtree(away, ignore_errors=True)
        else:
            away.unlink(missing_ok=True)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(place))
