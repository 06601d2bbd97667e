"""Tests that removed names without a rule are reported, and existing names are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from port.support import port_cpp

from dcnbuild.port.project import Options, port_project

CSRC = Path(__file__).parents[2] / "csrc"


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        ("auto y = at::potrf(x);", "potrf"),
        ("auto y = at::linear(x, x) + at::btrifact_with_info(x);", "at::btrifact_with_info"),
        ("AT_FORALL_SCALAR_TYPES_EXCEPT_HALF(f)", "AT_FORALL_SCALAR_TYPES_EXCEPT_HALF"),
        ("cudaGetTextureAlignmentOffset(&n, t);", "cudaGetTextureAlignmentOffset"),
        ("cub::FpLimits<float>::Max();", "cub::FpLimits"),
        ("thrust::binary_function<int, int, int> f;", "thrust::binary_function"),
        ("auto y = x.type().randn({3});", "randn"),
        ("cusparseScsrmm2(h, op, op, m, n, k);", "cusparseScsrmm2"),  # before the tables begin
    ],
)
def test_what_is_gone_is_named(line: str, subject: str) -> None:
    remarks = port_cpp(f"void f(at::Tensor x) {{ {line} }}\n").remarks
    assert subject in {remark.subject for remark in remarks if remark.need == "broken"}


def test_a_header_that_is_gone_is_named() -> None:
    remarks = port_cpp("#include <torch/csrc/utils/functional.h>\n#include <ATen/Parallel.h>\n").remarks
    found = [(remark.id, remark.subject, remark.lines) for remark in remarks]
    assert found == [("gone-name", "#include <torch/csrc/utils/functional.h>", (1,))]


@pytest.mark.parametrize(
    "line",
    [
        "auto y = at::zeros({1}); auto z = at::cuda::getCurrentCUDAStream();",
        "cudaMemcpyToArray(a, 0, 0, p, n, k); cub::Equality equal;",
        "Value v; v.type().name(); x.type().backend(); auto o = x.type().options(0);",
        "cusparseSpMM(h); cusparseSgemvi(h); cusparseXcoo2csr(h, r, n, m, o, b); cusparseDcheck(h);",
        "struct M { void potrf(); }; M().potrf(); mine::at::symeig(x);",
        "AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), n, [&] { g(); });",
        "thrust::device_ptr<int> p; cub::BlockReduce<int, 1> r; torch::autograd::make_variable(x);",
    ],
)
def test_what_stands_is_not(line: str) -> None:
    remarks = port_cpp(f"void f(at::Tensor x) {{ {line} }}\n").remarks
    assert not [remark for remark in remarks if remark.id == "gone-name"]


def test_a_name_of_the_project_is_its_own() -> None:
    text = "#define AT_WARN_ONCE_MINE(x)\nvoid cudaGetTextureAlignmentOffset(int n) {}\n"
    assert not port_cpp(text + "void g() { cudaGetTextureAlignmentOffset(1); }\n").remarks


def test_our_own_sources_are_of_today() -> None:
    result = port_project(CSRC, Options())
    assert not result.failing and result.changed == ()
    assert not [r for file in result.files for r in file.remarks if r.need == "broken"]
