"""Tests that four times any text takes about four times as long, and that no code recurses."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from port.support import port_cpp, port_py

from dcnbuild.port.project import port_project

INSIDE = "void f(at::Tensor x, int pad_h, int pad_w) { auto t = x.type(); "
#: What is repeated; "" in front where it is at the top of a file, else inside a function.
CPP = [
    *(("", text) for text in ("{", "(", "[", "<", "}", ")", '"', "'", "\t", "\\\n", "// x\n")),
    *(("", text) for text in ("#if X\n", "#if 1\n", "#ifdef A\n{\n#else\n{\n#endif\n", "#elif Y\n")),
    *(("", text) for text in ("#include <THC/THC.h>\n", "#include <a.h>\n", "#define M(x) F(x)\n")),
    *(("", text) for text in ("void f(at::Tensor x) { k<<<1, 2>>>(x); }\n", "namespace a { ")),
    *(("", text) for text in ("__global__ void f(int x) { g(x); }\n", "A() : a(1), b(2) {} ")),
    *(("", text) for text in ("struct F : public thrust::unary_function<int, int> ", "it's ")),
    *(("", text) for text in ("'\\'", '"\\"', "u'\\", "'\" ", "AT_CHECK(n);\r", "template <")),
    *(("#if ", text) for text in ("!", "(", "1 + ", "defined(A) && ")),
    *((INSIDE, text) for text in ("a + ", "AT_CHECK(", "a<b<", "f<a, ", "THCudaMalloc(state, ")),
    *((INSIDE, text) for text in ('AT_CHECK(n > 0, "%d", n); ', "k<<<1, 2>>>(x); ", "k<<<1, 2>>>(x) ")),
    *((INSIDE, text) for text in ('AT_DISPATCH_ALL_TYPES(t, "f", [&] { g(); }); ', "THCState* s; ")),
    *((INSIDE, text) for text in ("AT_DISPATCH_ALL_TYPES(t, f, [&] {}); ", "m = torch::jit::load(p); ")),
    *((INSIDE, text) for text in ("cudaMemAdvise(p, n, a, pad); ", "AT_ASSERT(x)\n", "cuCtxCreate(&c, ")),
    *((INSIDE, text) for text in ("THCState* s, ", "cudaSuccess exit(", "THCCeilDiv(a, ")),
    *((INSIDE, text) for text in ("THCNumerics<T>::add(a, ", "x.data<float>() + ", "g(pad_h, pad_h); ")),
    *((INSIDE, text) for text in ("if (a) TORCH_CHECK(x); else ", "x.type().tensor({1}); ", "THC ")),
    (
        INSIDE,
        'cudaError_t err = cudaGetLastError(); if (err != cudaSuccess) { printf("x"); } ',
    ),
]
FUNCTION = """\
class F(Function):
    def __init__(self, k):
        self.k = k

    def forward(self, x):
        return x


"""
#: What stands before it, what is repeated, what stands behind it.
PYTHON = [
    ("from torch.autograd import Function\n", "f = Function\n", ""),
    ("", "class F(Function):\n    def forward(self, x):\n        return x\n", ""),
    (FUNCTION, "y = F(1)(x)\n", ""),
    (FUNCTION, "def g():\n    f = F(1)\n    return f(x)\n", ""),
    (FUNCTION + "y = [", "F(1)(x), ", "]"),
    ("from torch.utils.cpp_extension import load\nflags = [", "'-std=c++11', ", "]"),
    ("from torch.utils.cpp_extension import load\nflags = '-std=c++11", " ", "-std=c++11'"),
    ("from torch._six import inf\nx = 'é'", "; y = 1", ""),
]


def seconds(port: Callable[[str], object], text: str) -> float:
    gc.disable()  # as timeit does: what it walks through grows with the tests that came before
    try:
        started = time.process_time()
        port(text)
        return time.process_time() - started
    finally:
        gc.enable()


def ratio(port: Callable[[str], object], size: int, first: str, repeated: str, last: str = "") -> float:
    """How much longer four times the text takes."""
    short, long = (first + repeated * (n // len(repeated)) + last + "\n" for n in (size, 4 * size))
    return seconds(port, long) / max(seconds(port, short), 0.02)


@pytest.mark.parametrize(("first", "repeated"), CPP)
def test_cpp(first: str, repeated: str) -> None:
    def port(text: str) -> object:
        ported = port_cpp(text, fix_bugs=True)
        assert not any(remark.id == "rule-failed" for remark in ported.remarks)
        return ported

    # quadratic would be 16; what other programs do to the caches is in it, too
    assert any(ratio(port, 2000, first, repeated) < 9 for _ in range(3))


@pytest.mark.parametrize(("first", "repeated", "last"), PYTHON)
def test_python(first: str, repeated: str, last: str) -> None:
    assert any(ratio(port_py, 2000, first, repeated, last) < 9 for _ in range(3))


@pytest.mark.parametrize("depth", [60, 5000])
@pytest.mark.parametrize(
    ("before", "after"),
    [("(", ")"), ("{", "}"), ("f<", ">"), ("THCCeilDiv(1, ", ")"), ("a.b", ""), ("AT_ERROR(", ")")],
)
def test_what_is_nested_deeply(depth: int, before: str, after: str) -> None:
    text = f"void f() {{ x = {before * depth}1{after * depth}; AT_CHECK(n); }}\n"
    assert "TORCH_CHECK(n)" in port_cpp(text).text


@pytest.mark.parametrize("depth", [60, 900, 5000])
@pytest.mark.parametrize(("before", "after"), [("(", ")"), ("", ".b"), ("f(", ")"), ("-", "")])
def test_python_that_is_nested_deeply(depth: int, before: str, after: str, tmp_path: Path) -> None:
    text = f"from torch._six import inf\nx = {before * depth}a{after * depth}\n"
    (tmp_path / "a.py").write_text(text)
    (file,) = port_project(tmp_path).files
    too_deep = [remark.id for remark in file.remarks] == ["python-syntax"]
    assert too_deep or "inf = float('inf')" in file.new
