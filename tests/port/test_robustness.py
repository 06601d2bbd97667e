"""Tests any input: no crash, no lost text; porting twice equals porting once; modern code stays unchanged."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from port.support import PROJECTS, port_cpp

from dcnbuild.port.output import write_copy
from dcnbuild.port.project import Options, port_project
from dcnbuild.port.source import Unreadable, find_sources, read_source

FRAGMENTS = st.sampled_from(
    [
        *(
            "AT_CHECK(",
            "AT_ERROR(",
            "AT_ASSERTM(a, ",
            "THArgCheck(a, 1, ",
            "THCudaCheck(",
            ")",
            "));",
        ),
        *("THCState *state;\n", "extern THCState *state;\n", "state", "THCudaMalloc(state, n)"),
        *(
            "THCudaBlas_Sgemm(state, ",
            "THCCeilDiv(n, 512L)",
            "std::min(",
            "THCudaFree(",
            "x.type()",
        ),
        *(
            ".type().is_cuda()",
            ".data<float>()",
            ".data<",
            "->data<long>()",
            "packed_accessor<a, 2>()",
        ),
        *(
            'AT_DISPATCH_ALL_TYPES(x.type(), "f", [&] {',
            "})",
            "k<<<1, 2>>>(",
            "<<<",
            ">>>",
            "__shfl(a, b)",
        ),
        *(
            "#include <THC/THC.h>\n",
            "#include <TH/TH.h>\n",
            "#include <ATen/ATen.h>\n",
            "#pragma once\n",
        ),
        *(
            "#ifdef A\n",
            "#else\n",
            "#endif\n",
            "#if 0\n",
            "#define M(x) AT_CHECK(x) \\\n",
            "#define ",
            "#\n",
        ),
        *(
            "void f(at::Tensor x, int pad_h, int pad_w) {\n",
            "}\n",
            "{",
            "}",
            "(",
            ")",
            ";\n",
            ", ",
            "\n",
        ),
        *(
            '"%d of %s", a, b',
            '"',
            "'",
            "//",
            "/*",
            "*/",
            'R"(',
            ')"',
            "\\",
            "\r\n",
            "é",
            "g(pad_h, pad_h)",
        ),
        *(
            "cudaError_t err = cudaGetLastError(); if (err != cudaSuccess) { printf(",
            "exit(-1);",
            "else",
        ),
        *(
            "__device__ double atomicAdd(double* p, double v) {",
            "a < b",
            "a > b",
            "::",
            "->",
            ".",
            "=",
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENTS, max_size=25).map("".join), st.booleans())
def test_any_cpp_is_ported_and_twice_is_once(text: str, fix_bugs: bool) -> None:
    once = port_cpp(text, fix_bugs=fix_bugs)
    twice = port_cpp(once.text, fix_bugs=fix_bugs)
    assert (twice.text, twice.changes) == (once.text, ())
    assert not any(remark.id == "rule-failed" for remark in once.remarks)


@settings(deadline=None)
@given(st.text())
def test_any_text_at_all(text: str) -> None:
    ported = port_cpp(text)
    # hypothesis also draws from the names in our own sources, old ones among them
    assert (ported.text == text) == (not ported.changes)
    assert port_cpp(ported.text).changes == ()


def test_every_line_of_a_change_is_a_line_of_the_file() -> None:
    text = (PROJECTS / "warp_batch/src/cuda/warp_cuda.cu").read_text()
    lines = text.splitlines()
    for change in port_cpp(text).changes:
        if change.before and "\n" not in change.before:
            assert change.before in lines[change.line - 1], change


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


def test_what_is_no_file_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    os.mkfifo(tree / "a.cu")
    os.mkfifo(tree / "events")
    monkeypatch.chdir(
        tree
    )  # the name of a socket has 107 bytes, and a temporary directory may have more
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


MODERN = {
    "warp.cpp": '#include <torch/extension.h>\nvoid f(at::Tensor x) { TORCH_CHECK(x.is_cuda(), "x"); }\n',
    "deprecated.cpp": "#include <ATen/ATen.h>\nfloat* f(at::Tensor x) {\n"
    '  AT_ASSERTM(x.type().is_cuda(), "x");\n  return x.data<float>();\n}\n',
    "rocm.cuh": "#ifdef USE_ROCM\n#define S(m, v, d) __shfl_up(v, d)\n#else\n#define S __shfl_up_sync\n#endif\n",
}


def test_sources_that_compile_today_stay_unless_asked_for(tmp_path: Path) -> None:
    for name, text in MODERN.items():
        (tmp_path / name).write_text(text)
    result = port_project(tmp_path)
    assert (result.failing, result.deprecated, result.changed) == (False, 3, ())
    (changed,) = port_project(tmp_path, Options(deprecated=True)).changed
    assert str(changed.path) == "deprecated.cpp"
    assert "data_ptr<float>()" in changed.new
    # one file that fails makes it an old project
    (tmp_path / "old.cpp").write_text("void f(int n) { AT_CHECK(n); }\n")
    result = port_project(tmp_path)
    assert result.failing
    assert {str(file.path) for file in result.changed} == {"old.cpp", "deprecated.cpp"}


def test_scripts_of_a_modern_project_are_only_named(tmp_path: Path) -> None:
    for name in ("Makefile", ".github/env.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("nvcc -arch=sm_35\n")
    (tmp_path / "setup.py").write_text("import torch\n")
    (tmp_path / "a.cpp").write_text("void f();\n")
    result = port_project(tmp_path)
    assert result.changed == () and result.ok
    named = {str(f.path): [r.id for r in f.remarks] for f in result.files if f.remarks}
    assert named == {"Makefile": ["script-flags"]}
    (tmp_path / "a.cpp").write_text("void f(int n) { AT_CHECK(n); }\n")
    changed = {str(file.path) for file in port_project(tmp_path).changed}
    assert changed == {"a.cpp", "Makefile", "pyproject.toml"}


def test_a_modern_project_stays_byte_for_byte() -> None:
    result = port_project(PROJECTS / "modern", Options(fix_bugs=True, deprecated=True))
    assert result.changed == () and result.ok
    assert all(not file.remarks for file in result.files)
