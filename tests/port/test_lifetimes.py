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
        ("float* p = x.storage().data<float>();", "storage().data"),
        ("auto n = x.storage().size();", "storage().size"),
        ("const auto& t = x.type(); auto y = t.randn({3});", "randn"),
        ("cusparseScsrmm2(h, op, op, m, n, k);", "cusparseScsrmm2"),  # before the tables begin
    ],
)
def test_what_is_gone_is_named(line: str, subject: str) -> None:
    remarks = port_cpp(f"void f(at::Tensor x) {{ {line} }}\n").remarks
    assert subject in {remark.subject for remark in remarks if remark.need == "broken"}


def test_a_header_that_is_gone_is_named() -> None:
    text = "#include <torch/csrc/utils/functional.h>\n#include <ATen/Parallel.h>\n#include <c10d/frontend.hpp>\n"
    remarks = port_cpp(text).remarks
    found = [(remark.id, remark.subject, remark.lines) for remark in remarks]
    gone = {1: "torch/csrc/utils/functional.h", 3: "c10d/frontend.hpp"}
    assert found == [("gone-name", f"#include <{header}>", (line,)) for line, header in gone.items()]


@pytest.mark.parametrize(
    "line",
    [
        "auto y = at::zeros({1}); auto z = at::cuda::getCurrentCUDAStream();",
        "cudaMemcpyToArray(a, 0, 0, p, n, k); cub::Equality equal;",
        "Value v; v.type().name(); x.type().backend(); auto o = x.type().options(0);",
        "auto n = x.storage().nbytes(); auto p = x.storage().data(); const auto& t = x.type(); t.isCuda();",
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


@pytest.mark.parametrize(
    "text",
    [
        "#if CUDART_VERSION >= 13000\nvoid f() { cudaMemPrefetchAsync(p, n, where, 0, s); }\n#else\n"
        "void f() { cudaMemPrefetchAsync(p, n, device, s); }\n#endif\n",
        "#if (defined(CUDA_VERSION) && CUDA_VERSION >= 13000)\nvoid f();\n#else\n"
        "void f() { cudaStreamGetCaptureInfo_v2(s, &a, &b, &c, 0, 0); }\n#endif\n",
        "#if CUDA_VERSION < 13000\nvoid f() { cudaUnbindTexture(x); cub::FpLimits<float>::Max(); cub::Sum s; }\n#endif\n",
        "#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 3\nint now;\n#else\n"
        "void f(at::Tensor x) { auto y = at::symeig(x); AT_CHECK(y); }\n#endif\n",
        "#if THRUST_VERSION < 200000\n#include <thrust/detail/config/old.h>\nthrust::unary_function<int, int> f;\n#endif\n",
    ],
)
def test_what_stands_for_an_older_release_beside_that_for_a_newer_one_stays(text: str) -> None:
    assert port_cpp(text).text == text and not port_cpp(text).remarks
    assert port_cpp(text.split("\n", 1)[1].replace("#else", "").replace("#endif", "")).remarks


def test_a_branch_without_cuda_is_of_today() -> None:
    assert port_cpp("#ifdef CUDA_VERSION\nint gpu;\n#else\nvoid f(at::Tensor x) { at::symeig(x); }\n#endif\n").remarks
