"""Tests packages whose members lead outside the toolkit."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcnbuild.errors import FindingError
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


@pytest.mark.parametrize("name", ["/{}/new", "../outside/new", "a/../../outside/new", "..", "./../x"])
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


#: Too long for a name, and for a path.
LONG = ["a" * 300, "a/" * 3000 + "b"]


@pytest.mark.parametrize("name", LONG)
def test_names_that_no_file_can_have(name: str, staging: Path) -> None:
    for write in (
        lambda: archive.write_file(staging, name, io.BytesIO(b"x"), False),
        lambda: archive.write_link(staging, name, "b"),
        lambda: archive.write_link(staging, "link", "b" * 5000),
    ):
        with pytest.raises(archive.UnsafeMemberError, match=r"too long|leads outside|is a link to"):
            write()
    archive.write_file(staging, "b", io.BytesIO(b"x"), False)
    with pytest.raises(archive.UnsafeMemberError):
        archive.write_copy(staging, name, "b")


def test_a_full_disk_is_no_fault_of_the_package(staging: Path) -> None:
    class Full(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space"):
        archive.write_file(staging, "a", Full(), False)


def test_a_hard_link_to_itself_keeps_the_file(staging: Path) -> None:
    archive.write_file(staging, "a/b", io.BytesIO(b"x"), False)
    archive.write_copy(staging, "a/b", "a/./b")
    archive.write_link(staging, "d", "a")
    archive.write_copy(staging, "d/b", "a/b")
    assert (staging / "a/b").read_text() == "x"


def _encrypted(content: bytearray) -> None:
    content[6] |= 1
    content[content.rfind(b"PK\1\2") + 8] |= 1


def _of_an_unknown_method(content: bytearray) -> None:
    content[8] = 97
    content[content.rfind(b"PK\1\2") + 10] = 97


def _changed(content: bytearray) -> None:
    content[60:70] = bytes(byte ^ 255 for byte in content[60:70])


def _cut(content: bytearray) -> None:
    del content[-40:]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("damage", [_encrypted, _of_an_unknown_method, _changed, _cut, bytearray.clear])
def test_a_damaged_wheel(
    damage: Callable[[bytearray], None], method: int, staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = staging.parent / "a.whl"
    with zipfile.ZipFile(wheel, "w", method) as members:
        members.writestr("nvidia/cu13/bin/nvcc", "nvcc" * 8 + "".join(map(chr, range(32, 127))))
    content = bytearray(wheel.read_bytes())
    damage(content)
    wheel.write_bytes(content)
    monkeypatch.setattr(pypi, "_download", lambda *_: [wheel])
    with pytest.raises(FindingError, match="cannot be unpacked"):
        pypi.fetch("13.0", staging.parent, staging, {}, False)


def test_a_damaged_deb(staging: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb")
    path = deb(staging.parent / "a.deb", [("usr/include/a.h", FILE, "")])
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(FindingError, match="could not read"):
        debian._unpack(path, debian._LAYOUT, staging, "unpacking")
