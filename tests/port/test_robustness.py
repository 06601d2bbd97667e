"""Tests any input: no crash, no lost text; porting twice equals porting once; modern code stays unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from port.support import PROJECTS, port_cpp

from dcnbuild.port.project import Options, port_project

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


@settings(max_examples=300)
@given(st.lists(FRAGMENTS, max_size=25).map("".join), st.booleans())
def test_any_cpp_is_ported_and_twice_is_once(text: str, fix_bugs: bool) -> None:
    once = port_cpp(text, fix_bugs=fix_bugs)
    twice = port_cpp(once.text, fix_bugs=fix_bugs)
    assert (twice.text, twice.changes) == (once.text, ())
    assert not any(remark.id == "rule-failed" for remark in once.remarks)


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


@pytest.mark.parametrize(
    ("call", "mended"),
    [
        ("os.system('make ops')", True),
        ('subprocess.run(["make", "-j4"])', True),
        ("print('make sure that nvcc is there')", False),
        ("# make ops", False),
    ],
)
def test_a_makefile_that_setup_builds_with_is_mended(tmp_path: Path, call: str, mended: bool) -> None:
    (tmp_path / "Makefile").write_text("ops:\n\tnvcc -gencode arch=compute_37,code=compute_37 -c a.cu\n")
    (tmp_path / "setup.py").write_text(f"{call}\n")
    (tmp_path / "a.cu").write_text("void f();\n")
    files = {str(file.path): file for file in port_project(tmp_path).files}
    assert files["Makefile"].changed == mended
    assert ("compute_75,code=compute_75" in files["Makefile"].new) == mended


@pytest.mark.parametrize(
    ("call", "mended"),
    [
        ("subprocess.check_call(['cmake', here] + args)", True),
        ('os.system(f"""\n    cd build\n    cmake {args} {here}\n""")', True),
        ("from skbuild import setup", True),
        ("print('cmake_minimum')", False),
        ("# 'cmake' is what builds it", False),
    ],
)
def test_a_cmake_file_that_setup_builds_with_is_mended(tmp_path: Path, call: str, mended: bool) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "set(CMAKE_CXX_STANDARD 14)\nif(CUDA_VERSION VERSION_LESS 9.0)\n  set(CUDA_ARCH_LIST 3.5)\nendif()\n"
    )
    (tmp_path / "setup.py").write_text(f"{call}\n")
    (tmp_path / "a.cpp").write_text("#include <torch/extension.h>\n")
    files = {str(file.path): file for file in port_project(tmp_path).files}
    assert ("set(CMAKE_CXX_STANDARD 20)" in files["CMakeLists.txt"].new) == mended
    # an old CUDA may be handed what only it takes
    left = {"script-flags": (3,) if mended else (1, 3)}
    assert {r.id: r.lines for r in files["CMakeLists.txt"].remarks} == left
    assert "set(CUDA_ARCH_LIST 3.5)" in files["CMakeLists.txt"].new


def test_a_modern_project_stays_byte_for_byte() -> None:
    result = port_project(PROJECTS / "modern", Options(fix_bugs=True, deprecated=True))
    assert result.changed == () and result.ok
    assert all(not file.remarks for file in result.files)
