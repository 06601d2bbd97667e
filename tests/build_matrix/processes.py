"""Runs a row's programs: output to a log, CPU time counted, and none left running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Every program of a row has this variable, so that a later run knows those of one that was killed.
MARK = "DCNBUILD_MATRIX_ROW"


@dataclass(frozen=True)
class Outcome:
    """How a program ended: its status, the CPU seconds of it and all its children, and where its output is."""

    status: int
    cpu_seconds: float
    log: Path

    @property
    def text(self) -> str:
        """What it said."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def run(
    command: Sequence[str | Path], cwd: Path, env: Mapping[str, str], log: Path, mark: Path
) -> Outcome:
    """Runs a program to its end in a process group of its own, which is ended with this one on Ctrl-C.

    Args:
        command: the program and its arguments; what it says goes to the end of `log`.
        cwd: where it runs.
        env: its environment variables.
        log: the file for its output.
        mark: the row's directory, for `end_leftovers`.
    """
    with log.open("ab") as file:
        file.write(f"$ {' '.join(map(str, command))}\n".encode())
        file.flush()
        process = subprocess.Popen(
            [*map(str, command)],
            cwd=cwd,
            env={**env, MARK: str(mark)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return Outcome(process.returncode, usage.ru_utime + usage.ru_stime, log)


def end_leftovers(work: Path) -> int:
    """Ends the programs of rows under a work directory whose run is gone (kill -9); returns how many."""
    ended = 0
    wanted = f"{MARK}={work}/".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
                ended += 1
    return ended
