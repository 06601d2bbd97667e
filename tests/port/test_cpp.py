"""Tests single forms of old C++ and CUDA, each with its expected rewriting."""

from __future__ import annotations

import pytest
from port.support import port_cpp, scope_of


def text(source: str, **options: bool) -> str:
    return port_cpp(source, **options).text  # type: ignore[arg-type]


def body(source: str) -> str:
    """The last line of a ported source."""
    return text(source).splitlines()[-1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # nested calls, spaces and line breaks inside
        (
            "void f() { THCudaCheck( cudaMemcpy(a, THCudaMalloc(state, n), n, kind) ); }",
            "void f() { C10_CUDA_CHECK( cudaMemcpy(a, c10::cuda::CUDACachingAllocator::raw_alloc(n), n, kind) ); }",
        ),
        (
            "void f() { THCudaFree(state,p); }",
            "void f() { c10::cuda::CUDACachingAllocator::raw_delete(p); }",
        ),
        ("void f() { AT_ERROR(); }", "void f() { TORCH_CHECK(false); }"),
        # template arguments with commas are one argument
        (
            'void f() { THArgCheck(std::is_same<A, B>::value, 2, "a"); }',
            'void f() { TORCH_CHECK(std::is_same<A, B>::value, "a"); }',
        ),
        # messages
        (
            'void f() { AT_ASSERTM(a, "%ld of %.2f%%: %s", n, r, s.c_str()); }',
            'void f() { TORCH_CHECK(a, n, " of ", r, "%: ", s.c_str()); }',
        ),
        (
            'void f() { AT_CHECK(a, "one %d, " "two %d", g(1, 2), h[3]); }',
            'void f() { TORCH_CHECK(a, "one ", g(1, 2), ", two ", h[3]); }',
        ),
        ('void f() { AT_CHECK(a, "%d of %d", n); }', 'void f() { TORCH_CHECK(a, "%d of %d", n); }'),
        ('void f() { AT_CHECK(a, "at ", n); }', 'void f() { TORCH_CHECK(a, "at ", n); }'),
        (
            'void f() { if (a) AT_ERROR("x"); else g(); }',
            'void f() { if (a) { TORCH_CHECK(false, "x"); } else g(); }',
        ),
        # tensors
        (
            "int* f(at::Tensor* t) { return t->data<int>(); }",
            "int* f(at::Tensor* t) { return t->data_ptr<int>(); }",
        ),
        (
            "auto f(at::Tensor t) { return t.template data<scalar_t>(); }",
            "auto f(at::Tensor t) { return t.template data_ptr<scalar_t>(); }",
        ),
        (
            "auto f(at::Tensor t) { return t.data<std::pair<int, long>>(); }",
            "auto f(at::Tensor t) { return t.data_ptr<std::pair<int, long>>(); }",
        ),
        (
            "bool f(at::Tensor t) { return t.data < end(); }",
            "bool f(at::Tensor t) { return t.data < end(); }",
        ),
        (
            "bool f(at::Tensor* t) { return t->type().is_cuda(); }",
            "bool f(at::Tensor* t) { return t->is_cuda(); }",
        ),
        (
            "auto f(T x) { return (x + y).type() . is_cuda ( ); }",
            "auto f(T x) { return (x + y).is_cuda(); }",
        ),
        # dispatch
        (
            'void f(T x) { AT_DISPATCH_FLOATING_TYPES_AND(at::kHalf, x.type(), "f", [&] {}); }',
            'void f(T x) { AT_DISPATCH_FLOATING_TYPES_AND(at::kHalf, x.scalar_type(), "f", [&] {}); }',
        ),
        (
            'void f(T x) { auto t = x.type(); AT_DISPATCH_ALL_TYPES(t, "f", [&] {}); }',
            'void f(T x) { auto t = x.type(); AT_DISPATCH_ALL_TYPES(t.scalarType(), "f", [&] {}); }',
        ),
        (
            'void f(T x) { auto t = x.scalar_type(); AT_DISPATCH_ALL_TYPES(t, "f", [&] {}); }',
            'void f(T x) { auto t = x.scalar_type(); AT_DISPATCH_ALL_TYPES(t, "f", [&] {}); }',
        ),
        (
            '#define MINE(T, ...) AT_DISPATCH_ALL_TYPES(T, "f", __VA_ARGS__)\nvoid f(X x) { MINE(x.type(), [&] {}); }',
            "void f(X x) { MINE(x.scalar_type(), [&] {}); }",
        ),
        # ceil_div
        (
            "int f(int n) { return THCCeilDiv(n, 32); }",
            "int f(int n) { return at::ceil_div(n, 32); }",
        ),
        (
            "dim3 f(long n) { return std::max(1L, THCCeilDiv(n, 512L)); }",
            "dim3 f(long n) { return std::max(1L, at::ceil_div<int64_t>(n, 512L)); }",
        ),
    ],
)
def test_forms(before: str, after: str) -> None:
    assert body(before) == after


def test_the_layout_of_long_calls_stays() -> None:
    before = (
        "void f() {\n"
        "    THCudaBlas_Sgemm(state,\n"
        "                     't', 'n', // transposed\n"
        "                     n, m, k);\n"
        "    THArgCheck(x.is_contiguous(), 1,\n"
        '               "x has to be contiguous");\n'
        "}\n"
    )
    after = text(before)
    assert after.endswith(
        "void f() {\n"
        "    ported_cublas_sgemm(\n"
        "                     't', 'n', // transposed\n"
        "                     n, m, k);\n"
        "    TORCH_CHECK(x.is_contiguous(),\n"
        '               "x has to be contiguous");\n'
        "}\n"
    )


def test_macro_bodies_are_code_and_their_names_are_not() -> None:
    before = (
        "#define CHECK_INPUT(x) \\\n"
        '  AT_CHECK(x.type().is_cuda(), #x " AT_CHECK"); \\\n'
        "  AT_CHECK(x.is_contiguous())\n"
        "#undef AT_ERROR\n"
        "#ifdef AT_ASSERTM\n"
        "#endif\n"
    )
    assert text("#include <ATen/ATen.h>\n" + before) == "#include <ATen/ATen.h>\n" + (
        "#define CHECK_INPUT(x) \\\n"
        '  TORCH_CHECK(x.is_cuda(), #x " AT_CHECK"); \\\n'
        "  TORCH_CHECK(x.is_contiguous())\n"
        "#undef AT_ERROR\n"
        "#ifdef AT_ASSERTM\n"
        "#endif\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("extern THCState *state;\nint i;\n", "int i;\n"),
        ("#include <vector>\nextern THCState* state; // of cutorch\n", "#include <vector>\n"),
        ("static THCState *state = NULL;\nint i;\n", "int i;\n"),
        (
            "void f() {\n  THCState *state = at::globalContext().lazyInitCUDA(); // TODO\n  g();\n}\n",
            "void f() {\n  g();\n}\n",
        ),
        ("extern THCState *state; int i;\n", " int i;\n"),
        (
            "void f(THCState *s, int n);\nvoid g(THCState *s) { f(s, 1); }\n",
            "void f(int n);\nvoid g() { f(s, 1); }\n",
        ),
        (
            "template <typename T> void f(THCState *s, T n);\nvoid g() { f<float>(state, 1); }\n",
            "template <typename T> void f(T n);\nvoid g() { f<float>(1); }\n",
        ),
        (
            "void f(int n, THCState *state);\nvoid g(THCState *state) { f(1, state); }\n",
            "void f(int n);\nvoid g() { f(1); }\n",
        ),
    ],
)
def test_the_state(before: str, after: str) -> None:
    assert text(before) == after


def test_a_state_declared_in_parentheses_is_no_statement_to_take_away() -> None:
    before = "void f() { for (THCState *s = g(); i < 3; i++) {} }\n"
    assert text(before) == before


def test_a_state_that_is_still_needed_stays_and_is_named() -> None:
    before = "extern THCState *state;\nvoid f(T* x) { THCudaTensor_unfold(state, x); }\n"
    result = port_cpp(before)
    assert result.text == before
    assert {remark.subject: remark.lines for remark in result.remarks} == {
        "THCudaTensor_unfold": (2,),
        "THCState": (1,),
    }


def test_a_parameter_of_the_state_goes_across_files() -> None:
    header = "void launch(THCState *state, int n);\n"
    before = '#include "launch.h"\nvoid f() { launch(state, 1); relaunch(state, 1); }\n'
    after = '#include "launch.h"\nvoid f() { launch(1); relaunch(state, 1); }\n'
    assert port_cpp(before, launch__h=header).text == after
    assert scope_of(before, launch__h=header).state_parameters == {"launch": 0}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "auto f(at::Tensor x) { return ::torch::autograd::as_variable_ref(x); }\n",
            "auto f(at::Tensor x) { return (x); }\n",
        ),
        (
            "cudaStream_t f() { auto s = ::at::globalContext().getCurrentCUDAStream(); return s; }\n",
            "cudaStream_t f() { auto s = at::cuda::getCurrentCUDAStream(); return s; }\n",
        ),
    ],
)
def test_a_name_that_begins_with_its_colons_takes_nothing_along(before: str, after: str) -> None:
    assert port_cpp(before).text.endswith(after)


@pytest.mark.parametrize(
    "base",
    ["torch::autograd::Function()", "::Base(x)", "Base<int>(x)", "a::Base<int, 2>(x), own_(x)", "own_(x), Base(x)"],
)
def test_what_initialises_a_base_is_no_function(base: str) -> None:
    assert scope_of(f"struct F : Base {{ F(int x) : {base} {{ g(); }} }};\n").functions == {"F"}
