"""Runs one program; when the process that started the build ends, ends the program and everything that it started.

    python supervisor.py PARENT PROGRAM ARGUMENT...

A build that is killed with SIGKILL cannot end its compilers, and a death signal (PR_SET_PDEATHSIG) does not reach
grandchildren. So this small process runs between them. It leads its own session and waits for the program to end. It
watches its parent process, and its standard input, whose other end PARENT holds. It imports nothing of dcnbuild, since
it runs where only Python's own modules are certain to exist.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys

#: The interval of checks that the parent is still the same. Usually standard input closes first.
INTERVAL_SECONDS = 1.0
#: The time for ninja to end its commands and to remove half-written files.
GRACE_SECONDS = 2.0


def main(parent: int, command: list[str]) -> int:
    """Runs a command until it or the parent ends; returns its exit status (128 + N for signal N)."""
    os.setsid()
    wake_up, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while child.poll() is None:
        ready, _, _ = select.select([0, wake_up], [], [], INTERVAL_SECONDS)
        if wake_up in ready:
            os.read(wake_up, 64)
        # nobody writes to standard input, so it becomes ready only when its other end is closed
        if 0 in ready or os.getppid() != parent:
            _end(child)
            return 128 + signal.SIGTERM
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()  # ninja passes the signal on to each of its commands
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
    for _ in range(20):  # a process may start another in the meantime
        members = _session()
        if not members:
            break
        for pid in members:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _session() -> list[int]:
    """Returns the other living processes of this session; none without /proc."""
    members = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                # pid (program) state parent group session …; the program's name may hold anything
                state, _, _, session = file.read().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if name != str(os.getpid()) and session == str(os.getsid(0)) and state != "Z":
            members.append(int(name))
    return members


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
