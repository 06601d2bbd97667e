"""Runs one program, and ends it with everything that it started when the process that asked for it is gone.

    python supervisor.py PARENT PROGRAM ARGUMENT...

A build that is killed with SIGKILL cannot end its compilers, and a death signal (PR_SET_PDEATHSIG) reaches no
grandchildren. So this small process stands between: it leads a session of its own, waits for the program's end, and
watches its standard input, whose other end PARENT holds, and its parent process. It imports nothing of dcnbuild,
since it runs where only Python's own modules are sure to be there.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys

#: How often it looks whether the parent is the same still; its standard input tells sooner as a rule.
INTERVAL_SECONDS = 1.0
#: What ninja gets to end its commands and to remove half-written files.
GRACE_SECONDS = 2.0


def main(parent: int, command: list[str]) -> int:
    """Runs a command to its end, or to the parent's, and returns its exit status (128 + N for signal N)."""
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
        # nothing is ever written to standard input: it is ready when its other end is closed
        if 0 in ready or os.getppid() != parent:
            _end(child)
            return 128 + signal.SIGTERM
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()  # ninja hands it on to each of its commands
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
    for _ in range(20):  # one of them may start another in the meantime
        members = _session()
        if not members:
            break
        for pid in members:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _session() -> list[int]:
    """The other processes of this one's session that live; none where there is no /proc."""
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
