"""Tests the bugs of old sources that are reported, and repaired with --fix-bugs."""

from __future__ import annotations

from pathlib import Path

import pytest
from port.support import port_cpp

from dcnbuild.port.project import port_project


def text(source: str, **options: bool) -> str:
    return port_cpp(source, **options).text  # type: ignore[arg-type]


GUARD = "const c10::cuda::OptionalCUDAGuard device_guard(at::device_of(x));"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "at::Tensor f(at::Tensor x)\n{\n    // note\n    k<<<1, 2>>>(x);\n}\n",
            f"at::Tensor f(at::Tensor x)\n{{\n    {GUARD}\n    // note\n    k<<<1, 2>>>(x);\n}}\n",
        ),
        (
            "void f(int n, const torch::Tensor& x) { k<<<1, 2>>>(n); }\n",
            f"void f(int n, const torch::Tensor& x) {{ {GUARD} k<<<1, 2>>>(n); }}\n",
        ),
        (
            "void f(at::Tensor x) {\n  TORCH_CHECK(x.defined());\n  CHECK_INPUT(x)\n  "
            "g(at::cuda::getCurrentCUDAStream());\n}\n",
            f"void f(at::Tensor x) {{\n  TORCH_CHECK(x.defined());\n  CHECK_INPUT(x)\n  {GUARD}\n"
            "  g(at::cuda::getCurrentCUDAStream());\n}\n",
        ),
        ("void f(at::Tensor x) {\n  cudaSetDevice(0);\n  k<<<1, 2>>>(x);\n}\n", ""),
        ("void f(at::Tensor x) {\n  std::cout << 1 << 2;\n}\n", ""),
        ("void f(const std::vector<at::Tensor>& x) {\n  k<<<1, 2>>>(x);\n}\n", ""),
        ("__global__ void f(at::Tensor x) {\n  k<<<1, 2>>>(x);\n}\n", ""),
    ],
)
def test_device_guards(before: str, after: str) -> None:
    found = text(before)
    assert found.endswith(after or before)
    assert ("#include <c10/cuda/CUDAGuard.h>" in found) == bool(after)


def test_a_macro_of_the_project_that_guards_is_one(tmp_path: Path) -> None:
    (tmp_path / "guard.h").write_text("#define ON(x) const c10::cuda::OptionalCUDAGuard device_guard(device_of(x))\n")
    launch = '#include "guard.h"\nvoid f(at::Tensor x) {\n  %sAT_CHECK(x.defined());\n  k<<<1, 2>>>(x);\n}\n'
    (tmp_path / "a.cu").write_text(launch % "ON(x);\n  ")
    (tmp_path / "b.cu").write_text(launch % "")
    rules = {file.path.name: file.rules() for file in port_project(tmp_path).files}
    assert "device-guard" in rules["b.cu"] and "device-guard" not in rules["a.cu"]


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("k.cu.cc", "void f(float* x) {\n  k<<<1, 2>>>(x);\n  std::cout << 1 << 2;\n}\n", [(2,)]),
        ("k.cpp", "#ifdef __CUDACC__\nvoid f(float* x) { k<<<1, 2>>>(x); }\n#endif\n", []),
        ("k.cu", "void f(float* x) {\n  k<<<1, 2>>>(x);\n}\n", []),
    ],
)
def test_a_launch_in_a_file_of_cpp_is_named(tmp_path: Path, name: str, text: str, lines: list[tuple[int]]) -> None:
    (tmp_path / name).write_text(text)
    found = [r for file in port_project(tmp_path).files for r in file.remarks if r.id == "launch-in-cpp"]
    assert [remark.lines for remark in found] == lines


PAD = "void f(int pad_h, int pad_w, int padH, int padW, int hpad, int wpad) { %s; }\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("g(pad_h, pad_h)", "g(pad_h, pad_w)"),
        ("g(1, padH, padH, 2)", "g(1, padH, padW, 2)"),
        ("k<<<1, 2, 0, s>>>(n, hpad, hpad)", "k<<<1, 2, 0, s>>>(n, hpad, wpad)"),
        ("g(pad_w, pad_w)", "g(pad_w, pad_w)"),
        ("g(pad_h * 2, pad_h)", "g(pad_h * 2, pad_h)"),
        ("int a[] = {pad_h, pad_h}", "int a[] = {pad_h, pad_h}"),
        ("g(stride_h, stride_h)", "g(stride_h, stride_h)"),
    ],
)
def test_the_padding_bug(before: str, after: str) -> None:
    source = PAD % before
    result = port_cpp(source)
    assert [remark.id for remark in result.remarks if "pad" in remark.id] == (
        ["pad-h-twice"] if before != after else []
    )
    assert after in port_cpp(source, fix_bugs=True).text


def test_errors_that_only_a_terminal_sees() -> None:
    source = (
        "#include <cstdio>\n"
        "void f() {\n"
        "  k<<<1, 32>>>();\n"
        "  err = cudaGetLastError();\n"
        "  if (cudaSuccess != err) {\n"
        '    fprintf(stderr, "failed: %s\\n", cudaGetErrorString(err));\n'
        "    exit(-1);\n"
        "  }\n"
        "}\n"
    )
    assert {remark.id: remark.lines for remark in port_cpp(source).remarks} == {
        "silent-cuda-error": (4,),
        "cuda-error-exit": (7,),
    }
    fixed = text(source, fix_bugs=True)
    assert fixed.endswith("void f() {\n  k<<<1, 32>>>();\n  C10_CUDA_KERNEL_LAUNCH_CHECK();\n}\n")
    assert "#include <c10/cuda/CUDAException.h>" in fixed


@pytest.mark.parametrize(
    "check",
    [
        "AT_CUDA_CHECK(cudaGetLastError());",
        "C10_CUDA_KERNEL_LAUNCH_CHECK();",
        "if (cudaGetLastError() != cudaSuccess) return;",
        "MY_CHECK();",
        "cudaDeviceSynchronize();",
    ],
)
def test_launches_that_are_looked_at(check: str) -> None:
    source = f"#define MY_CHECK() look(cudaGetLastError())\nvoid f() {{\n  k<<<1, 32>>>();\n  {check}\n}}\n"
    assert port_cpp(source).remarks == ()


def test_a_launch_in_a_loop_or_a_lambda_is_checked_where_it_is() -> None:
    source = (
        "void f() {\n"
        "  for (int i = 0; i < 3; i++) {\n"
        "    k<float><<<dim3(1, 2), 32, 0, s>>>(\n        i, [] { return 1; }());\n"
        "  }\n"
        "  if (a) k<<<1, 32>>>();\n"
        "}\n"
    )
    assert text(source, fix_bugs=True).endswith(
        "        i, [] { return 1; }());\n    C10_CUDA_KERNEL_LAUNCH_CHECK();\n  }\n  if (a) k<<<1, 32>>>();\n}\n"
    )
