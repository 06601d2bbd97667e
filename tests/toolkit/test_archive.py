"""Packages whose members lead outside of the toolkit."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcnbuild.doctor.finding import FindingError
from dcnbuild.toolkit import archive, debian, pypi


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.mkdir()
    (path / "mine").write_text("mine")
    return path


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    path = tmp_path / "staging"
    path.mkdir()
    return path


def nothing_outside(outside: Path, staging: Path) -> None:
    assert {path.name for path in outside.iterdir()} == {"mine"}
    assert (outside / "mine").read_text() == "mine"
    assert set(os.listdir(outside.parent)) <= {"outside", "staging", "a.whl", "a.deb"}
    inside = staging.resolve()
    for path in staging.rglob("*"):
        assert path.parent.resolve().is_relative_to(inside)
        kind = stat.S_IFMT(path.lstat().st_mode)
        assert kind in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)


@pytest.mark.parametrize(
    "name", ["/{}/new", "../outside/new", "a/../../outside/new", "..", "./../x"]
)
def test_members_of_a_wheel(name: str, outside: Path, staging: Path) -> None:
    wheel = staging.parent / "a.whl"
    with zipfile.ZipFile(wheel, "w") as members:
        members.writestr(f"nvidia/cu13/{name.format(outside)}", "x")
        members.writestr("nvidia/cu13/bin/nvcc", "nvcc")
    refused = pypi._unpack(wheel, "nvidia/cu13/", staging)
    assert len(refused) == 1
    assert (staging / "bin/nvcc").read_text() == "nvcc"
    nothing_outside(outside, staging)
    with pytest.raises(FindingError, match="cannot be written within the toolkit"):
        archive.refuse(refused, wheel.name, "downloading")


Members = list[tuple[str, bytes, str]]  # name, type of tar, where it leads to


def deb(path: Path, members: Members) -> Path:
    """A .deb of any members, which dpkg-deb itself would not pack: an ar of three parts."""
    data, control = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, linkname in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, linkname, 0o6777
            text = b"new" if kind == tarfile.REGTYPE else b""
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    with tarfile.open(fileobj=control, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("control"))
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, content in (
            ("debian-binary", b"2.0\n"),
            ("control.tar", control.getvalue()),
            ("data.tar", data.getvalue()),
        ):
            file.write(f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))
    return path


FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([("usr/include/a", LINK, "{}")], [("usr/include/a/new", FILE, "")]),
        ([("usr/include/a", LINK, "../../outside")], [("usr/include/a/new", FILE, "")]),
        ([("usr/include/mine", LINK, "{}/mine")], [("usr/include/mine", FILE, "")]),
        ([("usr/include/a", HARD, "{}/mine")], [("usr/include/a", FILE, "")]),
        ([("usr/include/a", HARD, "../outside/mine")], [("usr/include/a", FILE, "")]),
        ([("usr/include/../../../outside/new", FILE, "")], []),
        ([("usr/include//{}/new", FILE, "")], []),
        (
            [("usr/include/up", LINK, ".."), ("usr/include/out", LINK, "up/../outside")],
            [("usr/include/out/new", FILE, ""), ("usr/include/up/../../x", FILE, "")],
        ),
        ([("usr/include/a", LINK, "a")], [("usr/include/a/new", FILE, "")]),
        ([("usr/include/null", tarfile.CHRTYPE, "")], [("usr/include/pipe", tarfile.FIFOTYPE, "")]),
    ],
)
def test_members_of_debs(first: Members, second: Members, outside: Path, staging: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb")
    for members in (first, second):
        filled = [(name.format(outside), kind, to.format(outside)) for name, kind, to in members]
        path = deb(staging.parent / "a.deb", filled)
        debian._unpack(path, debian._LAYOUT, staging, "unpacking")
        nothing_outside(outside, staging)


def test_links_of_debs_that_are_kept(staging: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb")
    lib = "usr/lib/x86_64-linux-gnu"
    members = [
        (f"./{lib}/libcudart.so.12.4", FILE, ""),
        (f"./{lib}/libcudart.so.12", LINK, "libcudart.so.12.4"),
        (f"./{lib}/libcudart.so", LINK, f"/{lib}/libcudart.so.12"),
        ("./usr/include/cub/all.h", FILE, ""),
        ("./usr/include/cub.h", HARD, "./usr/include/cub/all.h"),
        ("./usr/include/thrust", LINK, "cub"),
        ("./usr/bin/ptxas", FILE, ""),
        ("./usr/lib/nvidia-cuda-toolkit/bin/nvcc", LINK, "/etc/alternatives/nvcc"),
    ]
    assert debian._unpack(deb(staging.parent / "a.deb", members), debian._LAYOUT, staging, "") == []
    assert (staging / "lib64/libcudart.so").resolve() == (staging / "lib64/libcudart.so.12.4")
    assert (staging / "lib64/libcudart.so").read_text() == "new"
    assert (staging / "include/cub.h").read_text() == "new"
    assert (staging / "include/thrust/all.h").read_text() == "new"
    assert not os.path.lexists(staging / "bin/nvcc")
    assert stat.S_IMODE((staging / "bin/ptxas").stat().st_mode) == 0o755


PART = st.sampled_from(["", ".", "..", "a", "b", "link", "up", "out"])
NAME = st.lists(PART, max_size=5).map("/".join)


@settings(deadline=None)  # a busy disk is no fault
@given(st.lists(st.tuples(st.sampled_from([FILE, LINK, HARD]), NAME, NAME), max_size=8))
def test_no_sequence_of_members_leads_outside(members: list[tuple[bytes, str, str]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, "top/target")
        target.mkdir(parents=True)
        for kind, name, to in members:
            try:
                if kind == FILE:
                    archive.write_file(target, name, io.BytesIO(b"x"), False)
                elif kind == LINK:
                    archive.write_link(target, name, to)
                else:
                    archive.write_copy(target, name, to)
            except archive.UnsafeMemberError:
                pass
        assert os.listdir(directory) == ["top"]
        assert os.listdir(target.parent) == ["target"]


def test_a_damaged_deb(staging: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb")
    path = deb(staging.parent / "a.deb", [("usr/include/a.h", FILE, "")])
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises((FindingError, tarfile.TarError, subprocess.SubprocessError)):
        debian._unpack(path, debian._LAYOUT, staging, "unpacking")
