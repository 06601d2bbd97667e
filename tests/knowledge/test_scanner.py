"""Tests the scanner that reads headers for the tables, on constructs from real headers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def cpp() -> Iterator[object]:
    """tools/knowledge/cpp.py of the checkout; what is installed stays first on the path."""
    sys.path.append(str(Path(__file__).parents[2]))
    try:
        from tools.knowledge import cpp

        yield cpp
    finally:
        sys.path.pop()


def names(cpp: object, text: str) -> dict[str, str]:
    found = cpp.declarations(text)  # type: ignore[attr-defined]
    return {f"{item.scope}::{item.name}".removeprefix("::"): item.kind for item in found}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#define AT_CHECK(c, ...) x", {"AT_CHECK": "macro"}),
        ("namespace at { inline int f(int a, bool b=false) { return a; } }", {"at::f": "function"}),
        ("namespace a::b { struct S; struct T { int x; private: int "
         "y; }; }", {"a::b::T": "type", "a::b::T::x": "member"}),
        ("THRUST_NAMESPACE_BEGIN template <class T, int n = (1 > 0)> class v {}; "
         "THRUST_NAMESPACE_END", {"thrust::v": "type"}),
        ("enum E { A = 1, B = (2, 3), C };", {"E": "type", "A": "enumerator", "B": "enumerator", "C": "enumerator"}),
        ("enum class E : int { A };", {"E": "type", "E::A": "enumerator"}),
        ("typedef struct CUuuid_st { char bytes[16]; } "
         "CUuuid;", {"CUuuid_st": "type", "CUuuid_st::bytes": "member", "CUuuid": "type"}),
        ("typedef int (*callback_t)(void *);", {"callback_t": "type"}),
        ("using Half = c10::Half; using std::optional;", {"Half": "type", "optional": "name"}),
        ('extern "C" { extern __host__ cudaError_t CUDARTAPI cudaFree(void *p); }', {"cudaFree": "function"}),
        ("PyAPI_FUNC(int) PyArg_Parse(PyObject *, const char *, ...);", {"PyArg_Parse": "function"}),
        ("#if 0\nint gone();\n#else\nint here();\n#endif", {"here": "function"}),
        ("/* int a(); */ int b(); // int c();", {"b": "function"}),
        ('const char *s = "int d() {"; int e();', {"s": "variable", "e": "function"}),
        ("C10_API constexpr int kMax = 3;", {"kMax": "variable"}),
    ],
)  # fmt: skip
def test_names_of_a_header(cpp: object, text: str, expected: dict[str, str]) -> None:
    assert names(cpp, text) == expected


def test_parameters_are_counted_and_compared(cpp: object) -> None:
    text = "int f(int a, std::pair<int, int> b = {}, ...); int g(void);"
    f, g = cpp.declarations(text)  # type: ignore[attr-defined]
    assert (f.parameters, f.signature) == ((1, 99), "int, std::pair<int,int>")
    assert (g.parameters, g.signature) == ((0, 0), "")


@pytest.mark.parametrize("text", ["", "{", "}", "}}}", "(", "enum", "#if", "template <", "#define", "struct S {", '"'])
def test_broken_text_is_survived(cpp: object, text: str) -> None:
    assert isinstance(names(cpp, text), dict)
