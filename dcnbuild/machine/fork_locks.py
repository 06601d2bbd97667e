"""The locks between the threads of this process that load or build libraries, which a forked child finds open.

Take them as `fork_locks.building`: a fork puts new ones in their place.
"""

from __future__ import annotations

import os
import threading

#: Held while libraries are looked for, built and loaded.
building = threading.RLock()
#: Held while modules are imported for a build. A fork waits for that moment: in its child, the import would never end.
importing = threading.Lock()
#: A fork in the middle of an import that the build waits for does not wait for the build.
_LONGEST_IMPORT_SECONDS = 5.0

_this_thread = threading.local()


def _before_fork() -> None:
    _this_thread.keeps_imports_out = importing.acquire(timeout=_LONGEST_IMPORT_SECONDS)


def _after_fork_in_parent() -> None:
    if _this_thread.keeps_imports_out:
        importing.release()


def _after_fork_in_child() -> None:
    """Of all threads only the one that forked is in the child: what another one held would never be let go of."""
    global building, importing
    building = threading.RLock()
    importing = threading.Lock()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
