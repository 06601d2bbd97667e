"""Tests which files of a tree are read, in which encoding, and what is named because it cannot be."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from pathlib import Path

import pytest

from dcnbuild.port.output import write_copy
from dcnbuild.port.project import port_project
from dcnbuild.port.source import Unreadable, find_sources, read_source


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "gb2312"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_stay(tmp_path: Path, encoding: str, newline: str) -> None:
    comment = {"latin-1": "é ÿ", "gb2312": "中文"}.get(encoding, "é 中文 😀")
    old = f'// {comment}\nvoid f() {{ AT_CHECK(a, "{comment}"); }}\n'.replace("\n", newline)
    new = old.replace("AT_CHECK", "TORCH_CHECK")
    source = tmp_path / "a.cu"
    source.write_bytes(f"#include <ATen/ATen.h>{newline}{old}".encode(encoding))
    (result,) = port_project(source).files
    wanted = f"#include <ATen/ATen.h>{newline}{new}".encode(encoding)
    assert result.new.encode(result.encoding) == wanted


def test_python_files_are_read_as_their_coding_line_says(tmp_path: Path) -> None:
    source = tmp_path / "setup.py"
    text = "# -*- coding: latin-1 -*-\nfrom torch._six import inf  # é\n"
    source.write_bytes(text.encode("latin-1"))
    (result,) = port_project(source).files
    assert result.new == text.replace("from torch._six import inf", "inf = float('inf')")
    assert result.encoding == "iso-8859-1"


@pytest.mark.parametrize("data", [b"AT_CHECK(\0)", b"x" * 20_000_001])
def test_what_is_no_source_is_said(tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "a.cu"
    source.write_bytes(data)
    with pytest.raises(Unreadable):
        read_source(source)
    (result,) = port_project(source).files
    assert result.note.startswith("not looked at") and not result.changed
    assert not port_project(source).ok


def test_which_files_are_looked_at(tmp_path: Path) -> None:
    looked_at = [
        *("Makefile", "a.cu", "b/c.hpp", "b/make.sh", "b/setup.py", "build/y.cu", "csrc/build/x.h"),
        *("csrc/dist/x.h", "csrc/x.egg-info/x.py", "d/build/lib/x.h", "d/dist/x.py", "d/setup.py"),
        "venv/x.py",
    ]
    left_out = [
        *(".git/x.cpp", "b/.svn/x.cpp", "environment/pyvenv.cfg", "environment/lib/x.py"),
        *("b/build/temp.linux/x.cu", "b/build/lib/x.py", "b/dist/x.whl", "b/x.egg-info/PKG-INFO"),
    ]
    not_looked_at = ["node_modules/x/x.cc", "b/site-packages/x.py", "b/__pycache__/x.pyc", "d.txt"]
    tree, copy = tmp_path / "tree", tmp_path / "copy"
    for name in (*looked_at, *left_out, *not_looked_at):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("")
    (tree / "link.cu").symlink_to("a.cu")
    found = [path.relative_to(tree).as_posix() for path in find_sources(tree)]
    assert sorted(found) == looked_at
    result = port_project(tree)
    skipped = {str(skipped.path): skipped.copied for skipped in result.skipped}
    assert skipped == {
        **dict.fromkeys((".git", "b/.svn", "environment", "b/build", "b/dist"), False),
        **{"b/x.egg-info": False, "node_modules": True, "b/site-packages": True},
    }
    assert write_copy(tree, copy, result.files) == {}
    names = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert names == {*looked_at, *not_looked_at, "link.cu"}


WIDE = ["utf-16", "utf-32", "utf-16-le", "utf-16-be"]


@pytest.mark.parametrize("encoding", WIDE)
def test_utf16_becomes_what_compilers_read(tmp_path: Path, encoding: str) -> None:
    text = "#include <THC/THC.h>\r\nvoid f();  // é\r\n"
    source = tmp_path / "a.cu"
    source.write_bytes(text.encode(encoding))
    result = port_project(source)
    (file,) = result.files
    assert result.failing and file.new == text.replace("THC/THC.h", "ATen/cuda/CUDAContext.h")
    assert file.encoding == "utf-8" and "source-encoding" in file.rules()


def test_modern_utf16_is_written_as_utf8_too(tmp_path: Path) -> None:
    (tmp_path / "a.cu").write_bytes("void f();\n".encode("utf-16"))
    write_copy(tmp_path / "a.cu", tmp_path / "copy", port_project(tmp_path / "a.cu").files)
    assert (tmp_path / "copy/a.cu").read_bytes() == b"void f();\n"


def test_a_zero_byte_in_a_source_is_kept(tmp_path: Path) -> None:
    text = "void f(int n) { AT_CHECK(n > 0); }\n" * 9 + "// \0\n"
    (tmp_path / "a.cu").write_text(text)
    (file,) = port_project(tmp_path).files
    assert file.new.endswith(text.replace("AT_CHECK", "TORCH_CHECK"))


def test_what_is_no_file_is_named_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    os.mkfifo(tree / "a.cu")
    os.mkfifo(tree / "events")
    monkeypatch.chdir(tree)  # the name of a socket has 107 bytes, and a temporary directory may have more
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("b.cpp")
        (tree / "c.cpp").write_text("void f(int n) { AT_CHECK(n); }\n")
        result = port_project(tree)
        write_copy(tree, tmp_path / "copy", result.files)
    assert {str(file.path): file.note for file in result.files} == {
        "a.cu": "not looked at: a named pipe",
        "b.cpp": "not looked at: a socket",
        "c.cpp": "",
    }
    assert [str(skipped.path) for skipped in result.skipped] == ["a.cu", "b.cpp", "events"]
    assert not result.ok
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["c.cpp"]


def test_a_file_that_cannot_be_read_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("a.cu", "b.cu", "c.txt"):
        (tree / name).write_text("void f(int n) { AT_CHECK(n); }\n")
    read, copy = Path.read_bytes, shutil.copyfile

    # permissions do not keep root out, and tests may run as root
    def refuse(path: Path) -> bytes:
        if path.name == "a.cu":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    def refuse_copy(source: str, *others: object, **named: object) -> object:
        if Path(source).name in ("a.cu", "c.txt"):
            raise PermissionError(errno.EACCES, "Permission denied", source)
        return copy(source, *others, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(shutil, "copyfile", refuse_copy)
    result = port_project(tree)
    assert {str(file.path): file.note for file in result.files} == {
        "a.cu": "not looked at: Permission denied",
        "b.cu": "",
    }
    failed = write_copy(tree, tmp_path / "copy", result.files)
    assert failed == dict.fromkeys([Path("a.cu"), Path("c.txt")], "[Errno 13] Permission denied")
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["b.cu"]


def test_what_macos_puts_beside_a_file_is_copied_and_not_looked_at(tmp_path: Path) -> None:
    root = tmp_path / "old"
    root.mkdir()
    (root / "a.cpp").write_text("#include <ATen/ATen.h>\nvoid f(int n) { AT_CHECK(n > 0); }\n")
    (root / "._a.cpp").write_bytes(b"\0\5\26\7" * 40)
    result = port_project(root)
    assert [str(file.path) for file in result.files] == ["a.cpp"] and result.ok
    write_copy(root, tmp_path / "new", result.files)
    assert (tmp_path / "new/._a.cpp").read_bytes() == (root / "._a.cpp").read_bytes()
