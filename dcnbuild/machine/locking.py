"""A lock between processes that is released when its holder dies, also on file systems without locks.

It uses `flock` itself, because filelock hides the error. On a file system without flock (ENOLCK on NFS without lockd,
ENOSYS on Lustre), versions of filelock wait for ever, raise, or leave a lock file behind when the holder is killed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from dcnbuild.machine import trust

#: The processes that the lock keeps out: all that use the directory, those of this machine, or none.
Scope = Literal["all", "machine", "nobody"]

_HELD_BY_ANOTHER = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
#: A shorter wait is not reported.
_SILENT_SECONDS = 0.5

_held: set[int] = set()


class _NoLocks(Exception):
    """The file system has no locks."""


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[Scope]:
    """Makes a file, holds its lock, and gives the scope of the lock.

    If the file system has no locks, it locks a file among this machine's temporary files instead.

    Args:
        path: the lock's file, in a directory that only this user can write.
        waiting: called once if another process holds the lock. Its exception ends the wait.

    Raises OSError if the file cannot be made, and the exceptions of `waiting`.
    """
    places: list[tuple[Scope, Path]] = [("all", path)]
    stand_in = _stand_in(path)
    if stand_in is not None:
        places.append(("machine", stand_in))
    for scope, place in places:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        _held.add(descriptor)
        try:
            _acquire(descriptor, waiting)
        except _NoLocks:
            _close(descriptor)
            continue
        except BaseException:
            _close(descriptor)
            raise
        try:
            yield scope
        finally:
            _close(descriptor)
        return
    yield "nobody"


def _acquire(descriptor: int, waiting: Callable[[], None]) -> None:
    started = time.monotonic()
    said = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in _HELD_BY_ANOTHER:
                raise _NoLocks from error
        if not said and time.monotonic() - started > _SILENT_SECONDS:
            waiting()
            said = True
        time.sleep(0.1 if said else 0.05)


def _close(descriptor: int) -> None:
    """Releases a lock, unless this is a forked child, which has already released it."""
    if descriptor in _held:
        _held.discard(descriptor)
        os.close(descriptor)


def _stand_in(path: Path) -> Path | None:
    """Returns a file for the same lock, in this user's directory among the temporary files."""
    directory = Path(tempfile.gettempdir(), f"dcnbuild-locks-{os.getuid()}")
    with contextlib.suppress(OSError):
        directory.mkdir(mode=0o700, exist_ok=True)
    if trust.untrusted(directory, ours=directory) or not os.access(directory, os.W_OK):
        return None
    name = hashlib.blake2b(os.fsencode(path.absolute()), digest_size=16).hexdigest()
    return directory / f"{name}.lock"


def _let_go_in_a_child() -> None:
    """Closes the locks' descriptors in a child: a lock lasts as long as any process has its descriptor."""
    for descriptor in list(_held):
        _close(descriptor)


os.register_at_fork(after_in_child=_let_go_in_a_child)
