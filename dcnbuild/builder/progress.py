"""Shows one line of progress during a build."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any


class ProgressLine:
    """One line on stderr: on a terminal it follows the build, elsewhere it reports the start and the end.

    It prints nothing before the first `update` or `waiting`, and so nothing at all if another process has just finished
    the same build.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = time.monotonic()
        self._said = ""
        self._bar: Any = None  # rich.progress.Progress, imported only if something is compiled

    def __enter__(self) -> ProgressLine:
        return self

    def update(self, finished: int, total: int) -> None:
        """Called when the build starts and as its commands end."""
        self._say(f"dcnbuild: compiling {self._what}, once", finished, total)

    def waiting(self) -> None:
        """Called when another process builds the same library."""
        self._say(f"dcnbuild: waiting for another process that compiles {self._what}", 0, None)

    def _say(self, text: str, finished: int, total: int | None) -> None:
        if not sys.stderr.isatty():
            if text != self._said:
                print(text, file=sys.stderr, flush=True)
        else:
            if self._bar is None:
                self._bar = _start_bar()
            self._bar.update(self._bar.task_ids[0], description=text, completed=finished, total=total)
        self._said = text

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._said:
            seconds = time.monotonic() - self._started
            verdict = "done" if kind is None else "failed"
            print(f"dcnbuild: {verdict} after {seconds:.0f} s", file=sys.stderr, flush=True)


def _start_bar() -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from dcnbuild.base.console import console

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console(stderr=True),
        transient=True,
    )
    bar.add_task("", total=None)
    bar.start()
    return bar
