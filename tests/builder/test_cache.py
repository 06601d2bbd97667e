"""The JIT cache under every fault that it must survive, with real processes and a real compiler."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from build_project import Project
from builder.cache_scripts import BUILD, FIND, built
from hang import HANG, wait_until

from dcnbuild.builder.failure import read_findings


def test_the_second_start_compiles_nothing(tiny: Project) -> None:
    first = tiny.run(BUILD)
    path = built(first)
    assert path.parent.parent == tiny.cache
    assert "compiling the CPU kernels" in first.stderr
    second = tiny.run(BUILD)
    assert built(second) == path
    assert second.stderr == ""
    assert stat.S_IMODE(tiny.cache.stat().st_mode) == 0o700


def test_a_warm_cache_starts_no_program(tiny: Project) -> None:
    path = built(tiny.run(BUILD))
    guard = "import subprocess\ndef refuse(*a, **k): raise AssertionError(a)\nsubprocess.Popen = refuse\n"
    assert built(tiny.run(guard + FIND)) == path


def test_eight_processes_build_once(tiny: Project) -> None:
    processes = [tiny.start(BUILD) for _ in range(8)]
    results = [process.communicate(timeout=HANG) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, results
    assert len({out for out, _ in results}) == 1
    assert sum("compiling the CPU kernels, once" in err for _, err in results) == 1
    assert sorted(path.suffix for path in tiny.cache.iterdir()) == ["", ".lock", ".log"]


@pytest.fixture
def slow_compiler(tmp_path: Path) -> Path:
    """A compiler that waits as long as the file `slow` beside it exists, and makes `started` before."""
    path = tmp_path / "slow-c++"
    path.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--version*) exec c++ "$@";; esac\n'
        f"touch '{tmp_path}/started'\n"
        f"while [ -e '{tmp_path}/slow' ]; do sleep 0.1; done\n"
        'exec c++ "$@"\n'
    )
    path.chmod(0o755)
    (tmp_path / "slow").touch()
    return path


def test_a_killed_build_costs_one_rebuild(tiny: Project, slow_compiler: Path) -> None:
    env = tiny.env(CXX=str(slow_compiler))
    process = tiny.start(BUILD, env)
    _wait_for(slow_compiler.with_name("started"), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tiny.cache.glob("*.tmp"))  # what it left

    slow_compiler.with_name("slow").unlink()
    result = tiny.run(BUILD, env)
    built(result)
    assert "compiling" in result.stderr
    assert "waiting" not in result.stderr
    assert not list(tiny.cache.glob("*.tmp"))


def test_who_waits_says_so_and_takes_over_from_the_killed(tiny: Project, slow_compiler: Path) -> None:
    env = tiny.env(CXX=str(slow_compiler))
    first = tiny.start(BUILD, env)
    _wait_for(slow_compiler.with_name("started"), first)
    second = tiny.start(BUILD, env)
    assert second.stderr is not None
    too_long = threading.Timer(HANG, second.kill)
    too_long.start()
    said = next((line for line in second.stderr if "waiting for another process" in line), None)
    too_long.cancel()
    first.kill()
    first.wait()
    slow_compiler.with_name("slow").unlink()
    out, err = second.communicate(timeout=HANG)
    assert said is not None, err
    assert out.endswith(" 42\n"), err


def test_an_interrupted_build_leaves_nothing(tiny: Project, slow_compiler: Path) -> None:
    process = tiny.start(BUILD, tiny.env(CXX=str(slow_compiler)))
    _wait_for(slow_compiler.with_name("started"), process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG)
    assert "KeyboardInterrupt" in err
    assert not list(tiny.cache.glob("*.tmp"))
    slow_compiler.with_name("slow").unlink()


def _living(text: str) -> list[int]:
    """The processes that have this text in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
            zombie = (path / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if text.encode() in command and not zombie and int(path.name) != os.getpid():
            found.append(int(path.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stubborn", [False, True])
def test_compilers_end_with_the_process_that_builds(
    tiny: Project, slow_compiler: Path, number: signal.Signals, stubborn: bool
) -> None:
    """Compilers end with their build, even if they ignore SIGTERM, and so do the programs that they started."""
    if stubborn:
        text = slow_compiler.read_text()
        slow_compiler.write_text(text.replace("touch", f"trap '' TERM INT\n(sleep {2 * HANG}) &\ntouch"))
    process = tiny.start(BUILD, tiny.env(CXX=str(slow_compiler)))
    _wait_for(slow_compiler.with_name("started"), process)
    assert _living(str(slow_compiler))
    process.send_signal(number)
    process.communicate(timeout=HANG)
    wait_until(
        lambda: not _living(str(slow_compiler)),
        "compilers go on without the process that asked for them",
    )


def _wait_for(path: Path, maker: subprocess.Popen[str]) -> None:
    """Waits until a process has made a file."""
    wait_until(lambda: path.exists() or maker.poll() is not None, f"{path} never came")
    assert path.exists(), maker.communicate()


def test_force_builds_anew(tiny: Project) -> None:
    path = built(tiny.run(BUILD))
    before = path.stat().st_ino
    forced = tiny.run(BUILD.replace("os.environ)\nprint", "os.environ, force=True)\nprint"))
    assert built(forced) == path
    assert path.stat().st_ino != before


def test_what_matters_gets_an_entry_of_its_own(tiny: Project, tmp_path: Path) -> None:
    other_compiler = tmp_path / "my-c++"
    other_compiler.write_text('#!/bin/sh\nexec c++ "$@"\n')
    other_compiler.chmod(0o755)
    paths = [
        built(tiny.run(BUILD)),
        built(tiny.run(BUILD, tiny.env(TORCH="2.15.0"))),
        built(tiny.run(BUILD, tiny.env(CXX=str(other_compiler)))),
        built(tiny.run(BUILD, tiny.env(CPATH=str(tmp_path)))),
    ]
    (tiny.csrc / "answer.h").write_text("#define ANSWER 42 /* new */\n")
    paths.append(built(tiny.run(BUILD)))
    assert len(set(paths)) == len(paths)
    assert all(path.is_file() for path in paths)  # none pushed another out


def test_sources_of_the_other_device_do_not_matter(tiny: Project) -> None:
    path = built(tiny.run(BUILD))
    (tiny.csrc / "cuda").mkdir()
    (tiny.csrc / "cuda" / "new.cu").write_text("// new\n")
    assert built(tiny.run(FIND)) == path


def test_a_library_outlives_its_compiler(tiny: Project, tmp_path: Path) -> None:
    path = built(tiny.run(BUILD))
    empty = tmp_path / "no-programs"
    empty.mkdir()
    assert built(tiny.run(FIND, tiny.env(PATH=str(empty)))) == path


def test_a_compile_error_is_told_with_its_log(tiny: Project) -> None:
    (tiny.csrc / "cpu" / "answer.cpp").write_text("int answer() { return wrong_name; }\n")
    result = tiny.run(BUILD)
    assert result.returncode == 1
    message = result.stderr.partition("FindingError")[2]
    assert "wrong_name" in message
    assert "-fvisibility" not in message  # no page of flags
    log = next(tiny.cache.glob("*.log"))
    assert f"full log: {log}" in message
    assert "-fvisibility" in log.read_text()
    assert not list(tiny.cache.glob("*.tmp"))


def test_a_failed_build_leaves_its_findings_for_programs(tiny: Project) -> None:
    """The file has the doctor's findings about the compiler's output first, then the printed one; a later success
    removes it.
    """
    source = tiny.csrc / "cpu" / "answer.cpp"
    good = source.read_text()
    source.write_text("#include <THC/THC.h>\n")
    assert tiny.run(BUILD).returncode == 1
    left = tiny.cache / "cpu.findings.json"
    found = read_findings(left)
    assert [item["id"] for item in found] == ["thc-headers", "build-failed"]
    assert found[0]["fix"]
    assert found[1]["evidence"] == [f"full log: {next(tiny.cache.glob('*.log'))}"]
    source.write_text(good)
    built(tiny.run(BUILD))
    assert not left.exists()
    # nothing was compiled, since there is no compiler
    assert tiny.run(BUILD, tiny.env(CXX="/nowhere/c++")).returncode == 1
    assert [item["id"] for item in read_findings(left)] == ["compiler-missing"]


def test_the_record_says_what_was_built(tiny: Project) -> None:
    path = built(tiny.run(BUILD))
    record = json.loads((path.parent / "build.json").read_text())
    assert record["torch"] == "2.14.1"
    assert record["flavour"] == "stable"
    assert record["compiler"].startswith("gcc ")
    assert record["libraries"]["cpu"]["size"] == path.stat().st_size
    assert any("-std=c++17" in command for command in record["libraries"]["cpu"]["commands"])


def test_max_jobs_that_is_none(tiny: Project) -> None:
    result = tiny.run(BUILD, tiny.env(MAX_JOBS="all"))
    assert result.returncode == 1
    assert "MAX_JOBS is 'all', expected a positive number" in result.stderr
