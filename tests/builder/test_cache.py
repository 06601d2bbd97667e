"""The JIT cache under every fault that it must survive, with real processes and a real compiler."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from build_project import Project
from hang import HANG, wait_until

from dcnbuild.builder.failure import read_findings
from dcnbuild.builder.record import file_digest

#: Builds the tiny library and prints its path and what it answers.
BUILD = """
import ctypes, os
from pathlib import Path
from dcnbuild.builder import jit, lookup
from dcnbuild.machine.facts import TorchInstall
import dcnbuild
root = Path(dcnbuild.__file__).parent.parent / "torch"
torch = TorchInstall(root, os.environ.get("TORCH", "2.14.1"), None, True)
entry = jit.build_cached("cpu", torch, os.environ)
print(entry.path, ctypes.CDLL(str(entry.path)).answer())
"""
#: Only looks.
FIND = BUILD.replace("jit.build_cached", "lookup.find_cached").replace(
    "print(entry.path, ", "print(entry if isinstance(entry, str) else entry.path, "
)


def built(process: subprocess.CompletedProcess[str]) -> Path:
    """The library that a process got, which must work."""
    assert process.returncode == 0, process.stderr
    path, answer = process.stdout.split()
    assert answer == "42"
    return Path(path)


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


def test_who_waits_says_so_and_takes_over_from_the_killed(
    tiny: Project, slow_compiler: Path
) -> None:
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
    """Those that ignore SIGTERM too, and what they have started."""
    if stubborn:
        text = slow_compiler.read_text()
        slow_compiler.write_text(
            text.replace("touch", f"trap '' TERM INT\n(sleep {2 * HANG}) &\ntouch")
        )
    process = tiny.start(BUILD, tiny.env(CXX=str(slow_compiler)))
    _wait_for(slow_compiler.with_name("started"), process)
    assert _living(str(slow_compiler))
    process.send_signal(number)
    process.communicate(timeout=HANG)
    wait_until(
        lambda: not _living(str(slow_compiler)),
        "compilers go on without the process that asked for them",
    )


#: As BUILD, and loads what it gets.
BUILD_AND_LOAD = BUILD.replace(
    "import dcnbuild\n",
    """import dcnbuild
def load(entry):
    try:
        ctypes.CDLL(str(entry.path))
    except OSError as error:
        return str(error)
""",
).replace("os.environ)\nprint", "os.environ, load=load)\nprint")


def test_an_entry_that_cannot_be_loaded_here_is_built_beside(tiny: Project) -> None:
    """As a machine with another C library leaves one in a home that both use."""
    path = built(tiny.run(BUILD_AND_LOAD))
    foreign = b"\x7fELF of another machine"
    path.write_bytes(foreign)
    record = json.loads((path.parent / "build.json").read_text())
    record["libraries"]["cpu"] |= {"size": len(foreign), "digest": file_digest(path)}
    (path.parent / "build.json").write_text(json.dumps(record))

    second = tiny.run(BUILD_AND_LOAD)
    own = built(second)
    assert own.parent.name.startswith(f"{path.parent.name}-")
    assert "compiling" in second.stderr
    assert path.read_bytes() == foreign  # the other machine's

    third = tiny.run(BUILD_AND_LOAD)
    assert (built(third), third.stderr) == (own, "")
    assert built(tiny.run(FIND)) == own


def test_a_fresh_library_that_cannot_be_loaded_is_an_error_with_the_reason(tiny: Project) -> None:
    said = "libc.so.6: version `GLIBC_2.99' not found"
    result = tiny.run(
        BUILD_AND_LOAD.replace("str(error)", "error").replace(
            "    try:\n", f"    return {said!r}\n    try:\n"
        )
    )
    assert result.returncode == 1
    assert "GLIBC_2.99" in result.stderr.partition("FindingError")[2]
    assert result.stderr.count("compiling the CPU kernels, once") == 1


def test_where_the_system_forbids_to_load_another_directory_is_tried(
    tiny: Project, tmp_path: Path
) -> None:
    """A mount option or a policy that nothing tells beforehand."""
    said = "failed to map segment from shared object: Operation not permitted"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    script = BUILD_AND_LOAD.replace(
        "    try:\n", f"    if '.cache' in str(entry.path): return {said!r}\n    try:\n"
    )
    result = tiny.run(script, tiny.env(TMPDIR=str(temporary)))
    assert temporary in built(result).parents
    assert "RuntimeWarning: dcnbuild cannot build in" in result.stderr
    assert "Operation not permitted" in result.stderr


def _wait_for(path: Path, maker: subprocess.Popen[str]) -> None:
    """Until a process has made a file."""
    wait_until(lambda: path.exists() or maker.poll() is not None, f"{path} never came")
    assert path.exists(), maker.communicate()


@pytest.mark.parametrize("damage", ["truncated", "emptied", "altered", "removed", "no record"])
def test_a_damaged_library_is_built_again(tiny: Project, damage: str) -> None:
    path = built(tiny.run(BUILD))
    content = path.read_bytes()
    if damage == "no record":
        (path.parent / "build.json").write_text("{")
    elif damage == "removed":
        path.unlink()
    else:
        path.write_bytes(
            {
                "truncated": content[: len(content) // 2],
                "emptied": b"",
                "altered": content[:-1] + bytes([content[-1] ^ 1]),
            }[damage]
        )
    again = tiny.run(BUILD)
    assert built(again) == path
    assert "compiling" in again.stderr
    assert path.read_bytes() == content


def test_a_process_that_has_the_damaged_one_loaded_goes_on(tiny: Project) -> None:
    path = built(tiny.run(BUILD))
    library = ctypes.CDLL(str(path))
    (path.parent / "build.json").unlink()
    built(tiny.run(BUILD))
    assert library.answer() == 42


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


def test_a_home_that_cannot_be_written(tiny: Project, tmp_path: Path) -> None:
    """As service users have: HOME is a file, and the cache falls back to a private temporary directory."""
    temporary = tmp_path / "temporary"
    temporary.mkdir(mode=0o777)
    env = tiny.env(HOME="/dev/null", TMPDIR=str(temporary))
    first = tiny.run(BUILD, env)
    path = built(first)
    assert temporary in path.parents
    assert first.stderr.count("RuntimeWarning: dcnbuild cannot cache compiled kernels") == 1
    assert "/dev/null" in first.stderr
    assert "DCNBUILD_CACHE" in first.stderr
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    assert built(tiny.run(FIND, env)) == path


@pytest.mark.parametrize("fault", ["others can write", "a link", "a file", "another owner"])
def test_a_cache_that_others_could_have_written_is_not_trusted(
    tiny: Project, tmp_path: Path, fault: str
) -> None:
    path = built(tiny.run(BUILD))
    away = tmp_path / "away"
    tiny.cache.rename(away)
    if fault == "others can write":
        away.rename(tiny.cache)
        tiny.cache.chmod(0o770)
    elif fault == "a link":
        tiny.cache.symlink_to(away)
    elif fault == "a file":
        tiny.cache.touch()
    else:
        if os.geteuid() != 0:
            pytest.skip("only root can give a directory away")
        away.rename(tiny.cache)
        os.chown(tiny.cache, 12345, -1)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    result = tiny.run(BUILD, tiny.env(TMPDIR=str(temporary)))
    assert built(result) != path
    assert temporary in built(result).parents
    assert "RuntimeWarning: dcnbuild cannot cache" in result.stderr


def test_a_planted_directory_among_the_temporary_files_is_not_used(
    tiny: Project, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    planted = temporary / f"dcnbuild-{os.getuid()}"
    planted.mkdir(parents=True)
    planted.chmod(0o777)
    path = built(tiny.run(BUILD, tiny.env(HOME="/dev/null", TMPDIR=str(temporary))))
    assert temporary in path.parents
    assert planted not in path.parents


def test_a_file_size_limit_stops_nothing_but_this_build(tiny: Project) -> None:
    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
    result = tiny.run(limited + BUILD)
    assert result.returncode == 1
    assert "FindingError" in result.stderr
    assert "compiling the CPU kernels failed" in result.stderr
    built(tiny.run(BUILD))


@pytest.mark.parametrize("option", ["size=16k", "ro", "noexec"])
def test_a_full_or_read_only_disk_or_one_that_nothing_may_be_loaded_from(
    tiny: Project, tmp_path: Path, option: str
) -> None:
    """On a file system of its own, mounted for one process."""
    disk, temporary = tmp_path / "disk", tmp_path / "temporary"
    disk.mkdir()
    temporary.mkdir()
    unshare = shutil.which("unshare")
    namespace = [*([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount"]
    mount = f"mount -t tmpfs -o {option} none '{disk}'"
    if not unshare or subprocess.run([unshare, *namespace, "sh", "-c", mount]).returncode:
        pytest.skip("this machine lets no process mount a file system of its own")
    command = [
        unshare,
        *namespace,
        "sh",
        "-c",
        f"{mount} && exec '{sys.executable}' -c \"$0\"",
        BUILD,
    ]
    env = tiny.env(DCNBUILD_CACHE=str(disk), TMPDIR=str(temporary))
    result = subprocess.run(
        command, env=env, cwd=tmp_path / "home", capture_output=True, text=True, timeout=HANG
    )
    assert temporary in built(result).parents
    assert "RuntimeWarning: dcnbuild cannot" in result.stderr
    assert str(disk) in result.stderr


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
    """The doctor's about the compiler's output first, then the one that was printed; gone once a build is done."""
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
