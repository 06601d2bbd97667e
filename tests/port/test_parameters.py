"""Tests that what no kernel and no operator can be handed is named. Measured with the compilers of torch 2.14.1 and CUDA 13.0."""

from __future__ import annotations

import re

import pytest
from port.support import port_cpp

from dcnbuild.port.code import Code
from dcnbuild.port.cpp import PortedText

OPERATOR = """\
struct Mine { int a; };
at::Tensor f(at::Tensor x, TYPE y);
REGISTERED
"""
REGISTERED = (
    'static auto r = torch::RegisterOperators("a::f", &f);',
    'static auto r = torch::RegisterOperators().op("a::f(Tensor x, int y) -> Tensor", &f);',
    'auto r = o.op(torch::RegisterOperators::options().schema("a::f").kernel<decltype(f), &f>(c10::DispatchKey::CPU));',
    'TORCH_LIBRARY(a, m) { m.def("f", f); }',
    'TORCH_LIBRARY_IMPL(a, CUDA, m) { m.impl("f", TORCH_FN(f)); }',
)


def named(result: PortedText, id: str) -> list[tuple[str, tuple[int, ...]]]:
    return [(remark.subject, remark.lines) for remark in result.remarks if remark.id == id]


def operator(type: str, registered: str = REGISTERED[0], **others: str) -> list[tuple[str, tuple[int, ...]]]:
    text = OPERATOR.replace("TYPE", type).replace("REGISTERED", registered)
    return named(port_cpp(text, **others), "operator-type")


UNFIT = """
int* | const at::Tensor* | const char* | int | unsigned | size_t | short | uint8_t | float | const float& | std::vector<int>
std::optional<float> | std::array<int, 2> | std::tuple<at::Tensor, int> | at::TensorOptions | std::vector<at::Tensor>& | int64_t&
std::string& | std::map<int64_t, at::Tensor> | std::shared_ptr<Mine> | Mine | Mine& | std::pair<at::Tensor, at::Tensor>
std::function<void()> | at::DeviceType | cudaStream_t
"""
FIT = """
int64_t | const int64_t& | long | double | const bool | int8_t | std::string | std::string_view | at::Tensor& | const at::Tensor&
torch::Tensor | at::TensorList | at::IntArrayRef | at::Scalar | at::Device | const std::vector<at::Tensor>& | std::vector<int64_t>
std::optional<at::Tensor> | std::array<bool, 2> | c10::Dict<std::string, at::Tensor> | c10::List<int64_t> | at::ScalarType | Index
c10::intrusive_ptr<Holder> | std::tuple<at::Tensor, int64_t>
"""


def types(table: str) -> list[str]:
    return re.split(r"\s*[|\n]\s*", table.strip())


@pytest.mark.parametrize("type", types(UNFIT))
def test_what_no_schema_has_a_word_for_is_named(type: str) -> None:
    assert operator(type) == [(f"{type} of f", (3,))]


@pytest.mark.parametrize("type", types(FIT))
def test_what_one_has_a_word_for_is_not(type: str) -> None:
    assert not operator(type)


@pytest.mark.parametrize("registered", REGISTERED)
def test_however_it_is_registered(registered: str) -> None:
    assert operator("int*", registered) == [("int* of f", (3,))]


def test_what_is_declared_in_a_header_or_twice_or_is_bound_with_pybind11() -> None:
    registered = '#include "g.h"\nstatic auto r = torch::RegisterOperators("a::g", &g);\n'
    assert operator("int64_t", registered, g__h="void g(float* p);\n") == [("float* of g", (4,))]
    assert not operator("int64_t", registered, g__h="void g(float* p);\nvoid g(at::Tensor x);\n")
    assert not operator("int*", 'PYBIND11_MODULE(m, m) { m.def("f", &f); }')
    assert not operator("int*", "void g(at::Tensor x) { f(x, x.data_ptr<int>()); }")


def test_results_and_lambdas() -> None:
    text = 'int f(at::Tensor x);\nTORCH_LIBRARY(a, m) {\n  m.def("f", &f);\n  m.def("g", [](at::Tensor x, float y) { h(x); });\n}\n'
    assert named(port_cpp(text), "operator-type") == [("int of f", (3,)), ("float of a lambda", (4,))]
    inside = 'TORCH_LIBRARY(a, m) { m.def("g", [](at::Tensor x) { std::sort(b, e, [](int p, int q) { return p < q; }); }); }\n'
    assert not named(port_cpp(inside), "operator-type")


def test_a_using_declaration_makes_no_namespace_the_projects_own() -> None:
    text = "using at::Tensor;\nauto f(Tensor b, Tensor a) { return std::get<0>(at::solve(b, a)); }\n"
    assert "at::linalg_solve(a, b)" in port_cpp(text).text
    assert "std::" not in port_cpp("using at = mine;\nauto f() { return at::solve(b, a); }\n").text


def test_commas_in_types_part_no_parameters() -> None:
    found = Code(
        "void f(std::map<int, at::Tensor> m, const at::Tensor& x = g(1, 2), int (*p)(int, int) = h) {}"
    ).functions
    assert [(p.type, p.name) for p in found[0].parameters][:2] == [
        ("std::map<int, at::Tensor>", "m"),
        ("const at::Tensor&", "x"),
    ]


@pytest.mark.parametrize(
    ("taken", "asked", "is_named"),
    [
        ("at::Tensor x", "x.size(0)", True),
        ("const torch::Tensor& x", "x.size(0)", True),
        ("torch::jit::script::Module x", "x.forward({}).toTensor().size(0)", True),
        ("std::map<int, float> x", "x.size()", True),
        ("thrust::host_vector<int> x", "x[0]", False),
        ("c10::Dict<std::string, int64_t> x", "x.size()", True),
        ("at::Tensor x", "0", False),  # it is copied bit by bit, and nothing asks it
        ("at::TensorAccessor<float, 1> x", "x[0]", False),
        ("torch::PackedTensorAccessor32<float, 1> x", "x[0]", False),
        ("std::array<int, 3> x", "x[0]", False),
        ("const float* x", "x[0]", False),
        ("Mine x", "x.a", False),
    ],
)
def test_a_kernel_that_asks_a_class_of_the_host(taken: str, asked: str, is_named: bool) -> None:
    result = port_cpp(f"template <typename T>\n__global__ void k(T* o, {taken}) {{ *o = {asked}; }}\n")
    assert [lines for _, lines in named(result, "kernel-parameter")] == [(2,)] * is_named
    on_host = port_cpp(f"void k(int* o, {taken}) {{ *o = {asked}; }}\n")
    assert not named(on_host, "kernel-parameter")
