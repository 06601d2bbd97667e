"""Locks between this process's threads that load or build libraries; in a forked child they are open.

Use them as `fork_locks.building`, since a fork replaces them.
"""

from __future__ import annotations

import os
import threading

#: Held while a thread searches, builds and loads libraries.
building = threading.RLock()
#: Held while a thread imports modules for a build. A fork waits for it, because in its child the import would never
#: end.
importing = threading.Lock()
#: A fork waits at most this long for such an import: the import may itself wait for the thread that forks.
_LONGEST_IMPORT_SECONDS = 5.0

_this_thread = threading.local()


def _before_fork() -> None:
    _this_thread.keeps_imports_out = importing.acquire(timeout=_LONGEST_IMPORT_SECONDS)


def _after_fork_in_parent() -> None:
    if _this_thread.keeps_imports_out:
        importing.release()


def _after_fork_in_child() -> None:
    """Makes new locks: the child has only the thread that forked, so no thread would release another thread's lock."""
    global building, importing
    building = threading.RLock()
    importing = threading.Lock()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
