"""Tests what C++17 and C++20 took away: what comes out compiles, and what is modern stays."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from port.support import scope_of

from dcnbuild.port.code import Code
from dcnbuild.port.cpp import port_text
from dcnbuild.port.project import port_project
from dcnbuild.port.rule import Rule
from dcnbuild.port.rules import standard

TORCH = "torch/extension.h"
#: What the examples of the entries lean on.
MEANT = "namespace std {} struct E { E(int); E(); }; int g(int);\n"


def compiles(text: str, folder: Path) -> bool:
    (folder / "torch").mkdir(exist_ok=True)
    (folder / TORCH).write_text("#include <memory>\n#include <string>\n", encoding="utf-8")
    command = ["g++", "-std=c++20", "-fsyntax-only", "-w", f"-I{folder}", "-xc++", "-"]
    return subprocess.run(command, input=text, text=True, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (
            "throw-specification",
            "#include <stdexcept>\nstruct A { ~A() throw(std::exception); };\nvoid f(int (*g)(int)) throw(int) {}\n",
        ),
        (
            "bool-increment",
            "int f(int* p, int n) { bool a, b = false; for (int i = 0; i < n; i++) if (p[i]) b++; return b; }\n",
        ),
        (
            "template-constructor",
            "template <class T> class V {\n public:\n  V<T>() : n(0) {}\n  explicit V<T>(int m) : V<T>() { n = m; }\n  ~V<T>();\n  V<T>& operator=(const V<T>& o) = default;\n  int n;\n};\ntemplate <class T> V<T>::~V<T>() {}\nV<int> v(1);\n",
        ),
        (
            "template-constructor",
            'template <int N> struct V : public std::string { V<N>(const char* s) : std::string(s) {} };\nV<2> v("");\n',
        ),
        ("utf8-text", 'std::string a = u8"\u00e9";\nconst char* b = u8R"(x)";\n'),
        ("own-and-std", "using namespace std;\nint data[4];\nint f(int i) { return data[i] + data[0]; }\n"),
        (
            "own-and-std",
            "using namespace std;\ntypedef unsigned char byte;\nstatic byte g(byte b) { byte c = (byte)(b + 1); return c; }\n",
        ),
        ("allocator-rebind", "std::allocator<int>::rebind<float>::other a;\n"),
        (
            "allocator-template-rebind",
            "template <class T> using A = typename std::allocator<T>::template rebind<int>::other;\nA<float> a;\n",
        ),
        (
            "allocator-reference",
            "int f(std::allocator<int>::const_reference a, std::allocator<int>::reference b) { return b = a; }\n",
        ),
        (
            "allocator-pointer",
            "template <class T> T f(typename std::allocator<T>::const_pointer a) { return *a; }\nstd::allocator<int>::pointer p;\n",
        ),
        ("word-concept", "struct A { int concept; };\nint f(A a) { return a.concept * 2; }\n"),
        ("word-requires", "bool f(bool requires, int* p) { return requires && p[0] ? true : requires; }\n"),
    ],
)
def test_what_is_rewritten_compiles(rule: str, text: str, tmp_path: Path) -> None:
    text = f"#include <{TORCH}>\n{text}"
    result = port_text(Code(text), scope_of(text, "source.cpp"))
    assert not compiles(text, tmp_path) and rule in {change.rule for change in result.changes}
    assert compiles(result.text, tmp_path), result.text


@pytest.mark.parametrize("rule", standard.RULES, ids=lambda rule: rule.id)
def test_the_entries_compile(rule: Rule, tmp_path: Path) -> None:
    assert not compiles(MEANT + rule.before, tmp_path)
    assert compiles(MEANT + rule.after, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "template <class T> concept Small = sizeof(T) < 8;\ntemplate <class T> requires Small<T> void f(T x) {}\n",
        "template <class T> void f(T x) requires (sizeof(T) < 8) && requires { x + 1; } {}\n",
        "constinit int n = 1;\nconsteval int f() { return 1; }\n",
        "template <class T> struct A { A(int n); A<T> f() { return A<T>(1); } A<T> a = A<T>(2); operator A<T>(); };\n",
        "void f(int n) { if (n < 2) throw (n); else if (g(n)) throw(1); }\n",
        "using namespace std;\nint f(int size, const int* data) { return data[size]; }\n",
    ],
)
def test_modern_code_stays(text: str, tmp_path: Path) -> None:
    text = f"#include <{TORCH}>\n{text}"
    assert port_text(Code(text), scope_of(text, "source.cpp")).text == text


@pytest.mark.parametrize(("header", "changed"), [(TORCH, True), ("ATen/ATen.h", False)])
def test_what_a_project_includes_decides_about_cxx20(tmp_path: Path, header: str, changed: bool) -> None:
    (tmp_path / "a.cpp").write_text(f'#include "a.h"\n#include <{header}>\n', encoding="utf-8")
    (tmp_path / "a.h").write_text("template <class T> struct A { A<T>(int n); };\n", encoding="utf-8")
    files = {file.path.name: file for file in port_project(tmp_path).files}
    assert files["a.h"].changed is changed
