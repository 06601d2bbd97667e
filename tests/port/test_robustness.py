"""Whatever comes in: no crash, nothing lost, twice is once, modern stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from port.support import PROJECTS, port_cpp

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


@pytest.mark.parametrize("data", [b"AT_CHECK(\0)", b"x" * 2_000_001])
def test_what_is_no_source_is_said(tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "a.cu"
    source.write_bytes(data)
    with pytest.raises(Unreadable):
        read_source(source)
    (result,) = port_project(source).files
    assert result.note.startswith("not looked at") and not result.changed


def test_which_files_are_looked_at(tmp_path: Path) -> None:
    for name in (
        "a.cu",
        "b/c.hpp",
        "b/setup.py",
        ".git/x.cpp",
        "build/y.cu",
        "n.egg-info/z.py",
        "d.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link.cu").symlink_to(tmp_path / "a.cu")
    found = [path.relative_to(tmp_path).as_posix() for path in find_sources(tmp_path)]
    assert found == ["a.cu", "b/c.hpp", "b/setup.py"]


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


def test_a_modern_project_stays_byte_for_byte() -> None:
    result = port_project(PROJECTS / "modern", Options(fix_bugs=True, deprecated=True))
    assert result.changed == () and result.ok
    assert all(not file.remarks for file in result.files)
