"""Tests where the cache may be, which entries are trusted, and the errors of a cache that cannot be written."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from build_project import Project
from builder.cache_scripts import BUILD, FIND, built
from hang import HANG

from dcnbuild.builder.record import file_digest

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
    """A home that two machines share can hold an entry that needs a newer C library than this machine has."""
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
        BUILD_AND_LOAD.replace("str(error)", "error").replace("    try:\n", f"    return {said!r}\n    try:\n")
    )
    assert result.returncode == 1
    assert "GLIBC_2.99" in result.stderr.partition("FindingError")[2]
    assert result.stderr.count("compiling the CPU kernels, once") == 1


def test_where_the_system_forbids_to_load_another_directory_is_tried(tiny: Project, tmp_path: Path) -> None:
    """A mount option or policy that no probe can see forbids loading from the first directory."""
    said = "failed to map segment from shared object: Operation not permitted"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    script = BUILD_AND_LOAD.replace("    try:\n", f"    if '.cache' in str(entry.path): return {said!r}\n    try:\n")
    result = tiny.run(script, tiny.env(TMPDIR=str(temporary)))
    assert temporary in built(result).parents
    assert "RuntimeWarning: dcnbuild cannot build in" in result.stderr
    assert "Operation not permitted" in result.stderr


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


def test_a_home_that_cannot_be_written(tiny: Project, tmp_path: Path) -> None:
    """If HOME is a file, as for some service users, the cache falls back to a private temporary directory."""
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
def test_a_cache_that_others_could_have_written_is_not_trusted(tiny: Project, tmp_path: Path, fault: str) -> None:
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


def test_a_planted_directory_among_the_temporary_files_is_not_used(tiny: Project, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    planted = temporary / f"dcnbuild-{os.getuid()}"
    planted.mkdir(parents=True)
    planted.chmod(0o777)
    path = built(tiny.run(BUILD, tiny.env(HOME="/dev/null", TMPDIR=str(temporary))))
    assert temporary in path.parents
    assert planted not in path.parents


def test_a_file_size_limit_stops_nothing_but_this_build(tiny: Project) -> None:
    # no .pyc either: Python leaves those cut off, and whoever imports them next fails
    limited = "import resource, sys\nsys.dont_write_bytecode = True\n"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
    result = tiny.run(limited + BUILD)
    assert result.returncode == 1
    assert "FindingError" in result.stderr
    assert "compiling the CPU kernels failed" in result.stderr
    built(tiny.run(BUILD))


@pytest.mark.parametrize("option", ["size=16k", "ro", "noexec"])
def test_a_full_or_read_only_disk_or_one_that_nothing_may_be_loaded_from(
    tiny: Project, tmp_path: Path, option: str
) -> None:
    """Mounts a file system for one process: full, read-only, or mounted noexec."""
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
    result = subprocess.run(command, env=env, cwd=tmp_path / "home", capture_output=True, text=True, timeout=HANG)
    assert temporary in built(result).parents
    assert "RuntimeWarning: dcnbuild cannot" in result.stderr
    assert str(disk) in result.stderr
