"""What `nox -s aarch64` says where something cannot be had, and how it starts programs of the other machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.aarch64 import root


def program(directory: Path, name: str, text: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


def test_what_the_machine_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "apt-get", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert root.missing_programs() == [
        "no qemu-aarch64-static on PATH: apt-get install qemu-user-static",
        "no aarch64-linux-gnu-g++ on PATH: apt-get install g++-aarch64-linux-gnu",
        "no dpkg-deb on PATH: apt-get install dpkg",
    ]


def test_what_cannot_be_fetched_is_named_with_the_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in root.PROGRAMS:
        program(tmp_path / "bin", name, "exit 0")
    program(tmp_path / "bin", "apt-get", "echo reading; echo 'E: no network'; exit 100")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    with pytest.raises(root.Unavailable, match=r"Debian's lists of packages for arm64: E: no netw"):
        root.make(tmp_path / "root", "2.10.0")
    assert not (tmp_path / "root/contents.json").exists()  # so that the next try begins anew


def test_a_starter_gives_qemu_the_root_the_name_and_the_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", root.QEMU, """printf '%s|' "$@" """)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    at = tmp_path / "a root's"
    at.mkdir()
    root._write_starter(at / "python", at, at / "python3.11", named=True)
    done = subprocess.run([at / "python", "-c", "print(1)"], capture_output=True, text=True)
    assert done.stdout.split("|")[:-1] == [
        *("-cpu", "max", "-L", str(at), "-0", str(at / "python"), str(at / "python3.11")),
        *("-c", "print(1)"),
    ]
