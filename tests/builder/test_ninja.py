"""Tests commands under ninja: which run again, and how a failure is reported."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from hang import HANG, wait_until

from dcnbuild.builder.ninjafile import (
    CompileError,
    first_error,
    jobs,
    ninja_binary,
    ninja_text,
    run_steps,
)
from dcnbuild.builder.steps import Step


def compile_step(source: Path) -> Step:
    command = ("c++", "-MD", "-MF", "one.d", "-c", str(source), "-o", "one.o")
    return Step("one.o", (str(source),), command, "one.d")


def run(directory: Path, *steps: Step) -> list[tuple[int, int]]:
    calls: list[tuple[int, int]] = []
    run_steps(directory, steps, os.environ, 2, lambda *call: calls.append(call))
    return calls


def test_only_what_changed_is_compiled_again(tmp_path: Path) -> None:
    directory = tmp_path / "a directory: with $signs"
    directory.mkdir()
    header, source = directory / "one.h", directory / "one.cpp"
    header.write_text("#define ONE 1\n")
    source.write_text('#include "one.h"\nint one() { return ONE; }\n')
    step = compile_step(source)
    assert run(directory, step) == [(0, 1), (1, 1)]
    assert run(directory, step) == [(0, 1)]

    header.write_text("#define ONE 2\n")
    later = time.time() + 10  # file systems with coarse times
    os.utime(header, (later, later))
    assert run(directory, step) == [(0, 1), (1, 1)]

    changed = Step(step.output, step.inputs, (*step.command, "-DNEW"), step.depfile)
    assert run(directory, changed) == [(0, 1), (1, 1)]


def test_the_compilers_first_error_is_told(tmp_path: Path) -> None:
    source = tmp_path / "one.cpp"
    source.write_text("int one() { return missing_one; }\nint two() { return missing_two; }\n")
    with pytest.raises(CompileError) as caught:
        run(tmp_path, compile_step(source))
    assert "missing_one" in caught.value.first_error
    assert caught.value.first_error.startswith(str(source))
    assert "missing_two" in caught.value.output


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            "[dcnbuild 1/2] nvcc -DX error: -c a.cu\n"
            "FAILED: [code=1] a.o\n/cuda/bin/nvcc --error -c a.cu\n"
            'a.cu(3): error: identifier "x" is undefined\n\n'
            "1 error detected in the compilation of a.cu.\n"
            "ninja: build stopped: subcommand failed.\n",
            'a.cu(3): error: identifier "x" is undefined',
        ),
        (
            "FAILED: a.o\n/usr/bin/c++ -c a.cpp\n"
            "/x/a.cpp:1:10: fatal error: cuda_runtime.h: No such file or directory\n",
            "/x/a.cpp:1:10: fatal error: cuda_runtime.h: No such file or directory",
        ),
        (
            "FAILED: a.o\nnvcc -c a.cu\nnvcc fatal   : Unsupported gpu architecture 'compute_35'\n",
            "nvcc fatal   : Unsupported gpu architecture 'compute_35'",
        ),
        (
            "FAILED: a.so\nc++ a.o\n/usr/bin/ld: a.o: in function `f':\na.cpp:(.text+0x5): undefined reference "
            "to `g'\n",
            "a.cpp:(.text+0x5): undefined reference to `g'",
        ),
        (
            "FAILED: a.o\n/cuda/bin/nvcc -c a.cu\n/bin/sh: 1: /cuda/bin/nvcc: not found\n",
            "/bin/sh: 1: /cuda/bin/nvcc: not found",
        ),
        (
            "FAILED: a.o\nc++ -c a.cpp\nc++: fatal error: Killed signal terminated program cc1plus\n",
            "c++: fatal error: Killed signal terminated program cc1plus",
        ),
        ("", "the build tool failed and said nothing"),
    ],
)
def test_first_error(output: str, expected: str) -> None:
    assert first_error(output) == expected


def test_jobs() -> None:
    assert jobs({"MAX_JOBS": "3"}) == 3
    assert jobs({}) >= 1
    for text in ("0", "-1", "many", "1.5"):
        with pytest.raises(ValueError, match="expected a positive number"):
            jobs({"MAX_JOBS": text})


def test_a_command_with_quotes_survives_ninja(tmp_path: Path) -> None:
    word = """it's "$5" & more"""
    run(tmp_path, Step("out", (), ("sh", "-c", 'printf %s "$0" > out', word)))
    assert (tmp_path / "out").read_text() == word


@pytest.mark.parametrize("name", [b"\xff", b"$(id) '\"%;", b"\xc3\xa9 :", b"a|b"])
def test_a_directory_of_any_name(name: bytes, tmp_path: Path) -> None:
    directory = tmp_path / os.fsdecode(name)
    directory.mkdir()
    source = directory / "in"
    source.touch()
    step = Step("out", (str(source),), ("cp", str(source), "out"))
    if b"|" in name:  # which ninja has no way to write
        with pytest.raises(CompileError, match=r"ninja: error: .*missing"):
            run_steps(directory, [step], os.environ, 1, lambda *_: None)
    else:
        run_steps(directory, [step], os.environ, 1, lambda *_: None)
        assert (directory / "out").exists()


def test_another_module_called_ninja(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ninja", types.ModuleType("ninja"))
    (tmp_path / "ninja").touch(0o755)
    assert ninja_binary({"PATH": str(tmp_path)}) == str(tmp_path / "ninja")


def test_text_of_a_step_without_depfile() -> None:
    assert "build out: run in\n  run = cp in out\n" in ninja_text([Step("out", ("in",), ("cp", "in", "out"))])


def test_a_backend_ends_with_its_front_end(tmp_path: Path) -> None:
    """When pip is killed, the waiting backend and its compilers end too."""
    backend = (
        "import os, time; from pathlib import Path; from dcnbuild.builder import aot\n"
        "with aot.ending_with_the_parent():\n"
        "    Path('pid').write_text(str(os.getpid()))\n"
        f"    time.sleep({2 * HANG})\n"
    )
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {backend!r}])"
    front_end = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path)
    pid = tmp_path / "pid"
    wait_until(lambda: pid.is_file() and pid.read_text(), "the backend does not start")
    process = Path("/proc", pid.read_text())
    assert process.exists()
    front_end.kill()
    front_end.wait()
    wait_until(lambda: not process.exists(), "the backend goes on")
