"""Memory, cores, distribution; JIT caches and their locks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from machine.trees import write

from dcnbuild.machine.jit_caches import find_jit_caches, torch_extensions
from dcnbuild.machine.system import find_machine, parse_os_release

MEMINFO = "MemTotal:       16384000 kB\nMemFree:         1000 kB\nSwapTotal:       2048 kB\nHugePages_Total:   0\n"


def test_memory_and_swap(tmp_path: Path) -> None:
    write(tmp_path / "proc/meminfo", MEMINFO)
    machine = find_machine({}, tmp_path)
    assert (machine.memory, machine.swap) == (16384000 * 1024, 2048 * 1024)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("memory.max", "4294967296\n", 4294967296),
        ("memory.max", "max\n", 16384000 * 1024),
        ("memory/memory.limit_in_bytes", "1073741824\n", 1073741824),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", 16384000 * 1024),
    ],
)
def test_containers_limit_the_memory(tmp_path: Path, name: str, text: str, expected: int) -> None:
    write(tmp_path / "proc/meminfo", MEMINFO)
    write(tmp_path / "sys/fs/cgroup" / name, text)
    assert find_machine({}, tmp_path).memory == expected


@pytest.mark.parametrize(("text", "most"), [("100000 100000\n", 1), ("50000 100000\n", 1), ("max 100000\n", None)])
def test_containers_limit_the_cores(tmp_path: Path, text: str, most: int | None) -> None:
    write(tmp_path / "sys/fs/cgroup/cpu.max", text)
    assert find_machine({}, tmp_path).cores == (most or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('PRETTY_NAME="Ubuntu 22.04.4 LTS"\nVERSION_ID="22.04"\nID=ubuntu\n', "ubuntu 22.04"),
        ("ID=arch\nBUILD_ID=rolling\n", "arch"),
        ('ID="rocky"\nVERSION_ID="9.3"\n', "rocky 9.3"),
        ("", None),
    ],
)
def test_os_release(text: str, expected: str | None) -> None:
    assert parse_os_release(text) == expected


def test_package_manager_and_wsl(tmp_path: Path) -> None:
    write(tmp_path / "usr/bin/dnf")
    write(tmp_path / "proc/version", "Linux version 5.15.153.1-microsoft-standard-WSL2\n")
    machine = find_machine({}, tmp_path)
    assert (machine.package_manager, machine.wsl) == ("dnf", True)
    machine = find_machine({}, tmp_path / "empty")
    assert (machine.package_manager, machine.wsl, machine.memory) == (None, False, None)


def test_the_temporary_directory(tmp_path: Path) -> None:
    machine = find_machine({"TMPDIR": str(tmp_path)})
    assert machine.temporary == tmp_path
    assert machine.temporary_free is not None
    assert find_machine({"TMPDIR": str(tmp_path / "absent")}).temporary_free is None


def test_where_torch_builds(tmp_path: Path) -> None:
    assert torch_extensions({}) is None
    assert torch_extensions({"HOME": "/home/ada"}) == Path("/home/ada/.cache/torch_extensions")
    assert torch_extensions({"HOME": "/h", "XDG_CACHE_HOME": "/c"}) == Path("/c/torch_extensions")
    assert torch_extensions({"HOME": "/h", "TORCH_EXTENSIONS_DIR": "/t"}) == Path("/t")


def test_locks_and_how_long_nothing_has_changed(tmp_path: Path) -> None:
    stale = tmp_path / "py311_cu124/stale"
    busy = tmp_path / "py311_cu124/busy"
    for directory in (stale, busy, tmp_path / "py311_cu124/done"):
        write(directory / "build.ninja")
        write(directory / "main.o")
    for directory in (stale, busy):
        write(directory / "lock")
    for path in [stale, *stale.iterdir()]:
        os.utime(path, (1000, 1000))
    for path in [busy, *busy.iterdir()]:
        os.utime(path, (1000, 1000))
    os.utime(busy / "main.o", (4000, 4000))
    found = find_jit_caches({"TORCH_EXTENSIONS_DIR": str(tmp_path)}, now=4010)
    assert {cache.path.name: cache.lock_idle for cache in found} == {"stale": 3010.0, "busy": 10.0}


def test_a_cache_that_is_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fused").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) == tmp_path)
    (cache,) = find_jit_caches({"TORCH_EXTENSIONS_DIR": str(tmp_path)})
    assert (cache.path, cache.lock_idle, cache.writable) == (tmp_path / "fused", None, False)


def test_no_cache_yet(tmp_path: Path) -> None:
    assert find_jit_caches({"HOME": str(tmp_path)}) == []
    assert find_jit_caches({}) == []


@pytest.mark.parametrize(
    ("files", "env", "container"),
    [
        ({}, {}, None),
        ({".dockerenv": ""}, {}, "docker"),
        ({"run/.containerenv": ""}, {}, "podman"),
        ({".dockerenv": ""}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
        ({}, {"APPTAINER_CONTAINER": "/x.sif"}, "apptainer"),
        ({"proc/1/cgroup": "12:pids:/docker/0123456789ab\n"}, {}, "docker"),
        ({"proc/1/cgroup": "0::/init.scope\n"}, {}, None),
    ],
)
def test_containers(tmp_path: Path, files: dict[str, str], env: dict[str, str], container: str | None) -> None:
    for name, text in files.items():
        write(tmp_path / name, text)
    assert find_machine(env, tmp_path).container == container


def test_jetson_and_secure_boot(tmp_path: Path) -> None:
    assert (find_machine({}, tmp_path).jetson, find_machine({}, tmp_path).secure_boot) == (
        None,
        None,
    )
    write(
        tmp_path / "etc/nv_tegra_release",
        "# R36 (release), REVISION: 4.3, GCID: 38968081\n# KERNEL\n",
    )
    variable = tmp_path / "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    for last, expected in (("\x01", True), ("\x00", False)):
        write(variable, f"\x06\x00\x00\x00{last}")
        found = find_machine({}, tmp_path)
        assert found.jetson == "R36 (release), REVISION: 4.3, GCID: 38968081"
        assert found.secure_boot is expected
