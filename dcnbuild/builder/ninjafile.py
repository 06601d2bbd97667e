"""Runs compile steps under ninja, and finds the line that names the error when one fails."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from dcnbuild.builder import supervisor
from dcnbuild.builder.steps import Step
from dcnbuild.machine import files

#: Called with (finished, total) as steps finish.
Progress = Callable[[int, int], None]

_STATUS = re.compile(r"\[dcnbuild (\d+)/(\d+)\]")
_ERROR = re.compile(
    r"(fatal error|\berror\b ?[:#]|error :|: fatal:|undefined reference|undefined symbol"
    r"|nvcc fatal|ptxas fatal|cannot find -l|No space left|Killed|Permission denied|not found$)",
    re.IGNORECASE,
)


class CompileError(RuntimeError):
    """A step failed. `first_error` is the compiler's first error, `output` the whole output."""

    def __init__(self, first_error: str, output: str) -> None:
        super().__init__(first_error)
        self.first_error = first_error
        self.output = output


def jobs(env: Mapping[str, str]) -> int:
    """Returns the number of commands to run at once: MAX_JOBS, else the cores that this process may use.

    Raises ValueError unless MAX_JOBS is a positive number.
    """
    text = env.get("MAX_JOBS", "").strip()
    if not text:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"MAX_JOBS is {text!r}, expected a positive number")
    return int(text)


def ninja_text(steps: Iterable[Step]) -> str:
    """Returns the build.ninja of these steps. ninja runs a command again if it changed."""
    lines = [
        "rule run",
        "  command = $run",
        "  description = $out",
        "rule run_with_depfile",
        "  command = $run",
        "  description = $out",
        "  deps = gcc",
        "  depfile = $dep",
    ]
    for step in steps:
        rule = "run_with_depfile" if step.depfile else "run"
        inputs = " ".join(map(_path, step.inputs))
        lines.append(f"build {_path(step.output)}: {rule} {inputs}")
        lines.append(f"  run = {_value(shlex.join(step.command))}")
        if step.depfile:
            lines.append(f"  dep = {_value(step.depfile)}")
    return "\n".join([*lines, ""])


def run_steps(
    directory: Path,
    steps: Sequence[Step],
    env: Mapping[str, str],
    at_once: int,
    progress: Progress,
) -> str:
    """Runs the steps that are out of date in a build directory, `at_once` at a time; returns all output.

    If this process is interrupted or killed, all programs that it started end with it (supervisor.py).

    Raises CompileError if a command fails, OSError if the directory cannot be written.
    """
    (directory / "build.ninja").write_bytes(os.fsencode(ninja_text(steps)))  # paths as they are
    progress(0, len(steps))
    command = [ninja_binary(env), "-v", f"-j{at_once}"]
    if sys.executable:  # empty if Python is embedded in another program
        watch = [sys.executable, "-I", "-S", supervisor.__file__, str(os.getpid())]
        command = [*watch, *command]
    lines = []
    with subprocess.Popen(
        command,
        cwd=directory,
        env={**files.of_search_path(env), "NINJA_STATUS": "[dcnbuild %f/%t] "},
        stdin=subprocess.PIPE,  # closed when this process ends in any way
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line)
                status = _STATUS.match(line)
                if status:
                    progress(int(status[1]), int(status[2]))
            process.wait()
        except BaseException:
            process.stdin.close()
            if not sys.executable:
                process.terminate()
            process.wait()
            raise
    output = "".join(lines)
    if process.returncode != 0:
        raise CompileError(first_error(output), output)
    return output


def first_error(output: str) -> str:
    """Returns the first line of a failed build's output that names an error."""
    complaints = []
    lines = iter(output.splitlines())
    for line in lines:
        if line.startswith("FAILED:"):
            next(lines, None)  # skips the command, whose flags may look like an error
        elif line.strip() and not _STATUS.match(line) and not line.startswith("ninja:"):
            complaints.append(line.strip())
    errors = (line for line in complaints if _ERROR.search(line))
    # of its own file, such as a path with "|", which ninja has no way to write
    own = [line for line in output.splitlines() if line.startswith("ninja: error:")]
    return next(errors, [*complaints, *own, "the build tool failed and said nothing"][0])


def ninja_binary(env: Mapping[str, str]) -> str:
    """Returns the ninja of the `ninja` package, else the one on PATH. Raises FileNotFoundError without one."""
    try:
        from ninja import BIN_DIR
    except ImportError:  # not installed, or hidden by a module of the user's with that name
        found = next(files.on_path(env, "ninja"), None)
        if found is None:
            raise FileNotFoundError("ninja is not installed: pip install ninja") from None
        return str(found)
    return str(Path(BIN_DIR, "ninja"))


def _path(text: str) -> str:
    return re.sub(r"([$ :])", r"$\1", text)


def _value(text: str) -> str:
    return text.replace("$", "$$")
