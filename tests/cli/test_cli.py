"""Tests how commands end: with one line and a status, never with a traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import dcnbuild
from dcnbuild import cli
from dcnbuild.cli import main
from dcnbuild.errors import Finding, FindingError

FINDING = FindingError(Finding("no-nvcc", "error", "no nvcc", "none was found."))


def fake(monkeypatch: pytest.MonkeyPatch, run: Callable[..., int]) -> None:
    """Puts a function in the place of each command's."""
    module = ModuleType("fake")
    module.add_arguments = lambda parser: None  # type: ignore[attr-defined]
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake", module)
    for name, (_, text) in cli.COMMANDS.items():
        monkeypatch.setitem(cli.COMMANDS, name, ("fake", text))


def raising(error: BaseException) -> Callable[..., int]:
    def run(args: object) -> int:
        raise error

    return run


@pytest.mark.parametrize("name", cli.COMMANDS)
@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (ValueError("DCNBUILD_ROUTE is 'x'"), 2, "DCNBUILD_ROUTE is 'x'"),
        (FINDING, 2, "no nvcc: none was found."),
        (PermissionError(13, "Permission denied", "/x"), 2, ": /x: Permission denied"),
        (OSError(18, "Invalid cross-device link", "/x", None, "/y"), 2, "'/x' -> '/y'"),
        (ImportError("libcudart.so.13"), 2, "libcudart.so.13"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 2, "No module named"),
        (RecursionError(), 2, "nested too deeply"),
        (MemoryError(), 2, "not enough memory"),
    ],
)
def test_what_ends_a_command_is_one_line(
    name: str,
    error: BaseException,
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake(monkeypatch, raising(error))
    assert main([name]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"dcnbuild {name}: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["info"], ["info", "--json"]])
def test_a_wrong_route_is_said_by_info(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`dcnbuild info` names a wrong DCNBUILD_ROUTE instead of reasons for each usual route."""
    monkeypatch.setenv("DCNBUILD_ROUTE", "\x1bnonsense")
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert "DCNBUILD_ROUTE is '\\x1bnonsense', expected one of prebuilt, nvrtc, jit, reference" in err


def test_a_bug_is_called_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake(monkeypatch, raising(TypeError("\x1b[2J")))
    assert main(["info"]) == 2
    err = capsys.readouterr().err
    assert "this is a bug in it" in err
    assert "\x1b" not in err


class Broken(io.StringIO):
    """A stream whose buffer is written when it is flushed, and cannot be."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize("arguments", [["info"], ["--help"], ["--version"], ["help", "doctor"]])
@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
        (OSError(28, "No space left on device"), 2, ": cannot write the output: No space left"),
    ],
)
def test_output_that_cannot_be_written(
    arguments: list[str],
    error: OSError,
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(args: object) -> int:
        print("text")
        return 0

    fake(monkeypatch, run)
    monkeypatch.setattr(sys, "stdout", Broken(error))
    assert main(arguments) == status
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == bool(message)


def test_nothing_can_be_said_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, raising(KeyboardInterrupt()))
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(sys, "stdout", Broken(full))
    monkeypatch.setattr(sys, "stderr", Broken(full))
    assert main(["info"]) == 2


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["doctor", "--log", "-"]) == 2
    assert "standard input, which is closed" in capsys.readouterr().err


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["help"], ["-h"]):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert all(f"\n  {name} " in out for name in (*cli.COMMANDS, *cli.OTHERS))
    for arguments in (["--version"], ["-V"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"dcnbuild {dcnbuild.__version__}\n"
    assert main([]) == 2
    assert "usage: dcnbuild COMMAND" in capsys.readouterr().err
    assert main(["docter"]) == 2
    assert "there is no command 'docter'; there are: info, build, doctor" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*cli.COMMANDS, *cli.OTHERS])
def test_help_of_each_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for arguments in (["help", name], [name, "--help"]):
        try:
            assert main(arguments) == 0
        except SystemExit as stop:
            assert stop.code == 0
        shown.append(capsys.readouterr().out)
    assert shown[0].startswith("usage: ")
    if name != "help":
        assert shown[0] == shown[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="completion scripts are made by shtab, which is missing")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in (*cli.COMMANDS, *cli.OTHERS, "--in-place", "--log", "install", "--math-headers"):
        assert word.removeprefix("--") in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    with pytest.raises(SystemExit):
        main(["completion", "abc"])


def test_a_script_that_compat_runs_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script run by `dcnbuild compat` keeps its own output, exceptions and handling of Ctrl-C."""
    script = tmp_path / "train.py"
    script.write_text("import sys\nprint(sys.argv[1:], '\\x1b[1m')\nraise KeyboardInterrupt\n")
    import dcnbuild.compat.__main__ as compat

    monkeypatch.setattr(compat, "install", lambda *names, without=(): None)
    monkeypatch.setattr(sys, "argv", ["dcnbuild"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    # what a script changes of its process is put back here, where other tests go on in it
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setenv("DCNBUILD_COMPAT_RUN", "")
    with pytest.raises(KeyboardInterrupt):
        main(["compat", str(script), "--lr", "1"])
    assert capsys.readouterr().out == "['--lr', '1'] \x1b[1m\n"


def test_a_real_process(tmp_path: Path) -> None:
    """One test tries closed descriptors, a full disk and an ASCII locale, because each process start is costly."""
    log = tmp_path / "build.log"
    log.write_text("a.cpp:1:2: error: ‘AT_CHECK’ was not declared in this scope \x9b\u202e[b]x\n")
    root = Path(dcnbuild.__file__ or "").parents[1]
    env = {**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "latin-1"}
    line = f"{sys.executable} -m dcnbuild doctor --log {log}"
    done = subprocess.run(["sh", "-c", f"{line} <&-"], env=env, capture_output=True)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"'AT_CHECK' was not declared" in done.stdout
    assert b"\x9b" not in done.stdout
    for redirected, status in ((">/dev/full", 2), (">&-", 1), (">/dev/full 2>&1", 2)):
        done = subprocess.run(["sh", "-c", f"{line} {redirected}"], env=env, capture_output=True)
        assert done.returncode == status
        assert done.stderr.count(b"\n") == (redirected == ">/dev/full")
