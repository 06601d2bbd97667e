"""What `nox -s aarch64` says where something cannot be had, how it starts programs of the other machine, and what it
takes for a failure.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.aarch64 import __main__ as session
from tools.aarch64 import root


def program(directory: Path, name: str, text: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
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
        root.make(tmp_path / "root", "2.10.0", "0.25.0")
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


def fake_root(directory: Path, text: str) -> root.Root:
    """A root whose Python is a shell script."""
    program(directory / "usr/bin", "python", text)
    return root.Root(directory)


def test_a_source_installation_finds_the_cross_compiler_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", root.COMPILER, "printf 'cross '; printf '%s|' \"$@\"; echo")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    monkeypatch.setenv("CXX", "clang++")
    made = fake_root(tmp_path / "root", f'(echo "CXX=$CXX $*"; command -v c++ || :) >> {tmp_path}/log')
    session.install_source(made, tmp_path)
    lines = (tmp_path / "log").read_text().splitlines()
    installed, compiler = lines[-2:]
    assert " -m pip uninstall -y " in lines[0]
    assert installed.startswith("CXX= -m pip install ")
    assert installed.endswith(f" {tmp_path / 'checkout'}[demo]")
    assert (tmp_path / "checkout/pyproject.toml").is_file()
    assert compiler == str(tmp_path / "compilers/c++")
    done = subprocess.run([compiler, "one", "two words"], capture_output=True, text=True)
    assert done.stdout == "cross one|two words|\n"


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        (("cpu: prebuilt /x", "  instruction set: neon"), "instruction set: neon_bf16"),
        (("cpu: reference", "  instruction set: neon_bf16"), "cpu: prebuilt"),
        (("cpu: prebuilt /x", "  instruction set: neon_bf16"), None),
    ],
)
def test_another_library_or_a_lesser_level_fails(tmp_path: Path, lines: tuple[str, ...], missing: str | None) -> None:
    made = fake_root(tmp_path, "\n".join(f"echo '{line}'" for line in lines))
    if missing is None:
        session.show(made, tmp_path)
    else:
        with pytest.raises(session.Failed, match=f"does not say '{missing}'"):
            session.show(made, tmp_path)


def test_a_step_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(session.Failed, match="dcnbuild info ended with status 3"):
        session.show(fake_root(tmp_path, "exit 3"), tmp_path)
    with pytest.raises(session.Failed, match=r"dcnbuild demo wrote no .*demo.png"):
        session.demo(fake_root(tmp_path, "exit 0"), tmp_path)


@pytest.mark.parametrize("deserved", ["manylinux_2_34_aarch64", "manylinux_2_28_aarch64"])
def test_another_tag_than_the_deserved_one_fails(tmp_path: Path, deserved: str) -> None:
    made = fake_root(tmp_path, f"echo 'platform tag  {deserved}'")
    wheel = tmp_path / "dcnbuild-0.1.0-py3-none-manylinux_2_34_aarch64.whl"
    if deserved in wheel.name:
        session.audit(made, wheel, tmp_path)
    else:
        with pytest.raises(session.Failed, match="deserves its tag, manylinux_2_34_aarch64"):
            session.audit(made, wheel, tmp_path)
