"""Tests the headers that are added for names of the standard library which no header brings any more."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from port.support import scope_of

from dcnbuild.knowledge import standard
from dcnbuild.port.code import Code
from dcnbuild.port.cpp import port_text
from dcnbuild.port.project import port_project


@pytest.mark.parametrize(
    ("name", "headers", "home"),
    [
        ("std::unique_ptr", ["vector", "algorithm"], "memory"),
        ("std::unique_ptr", ["vector", "thread"], None),
        ("std::array", ["utility"], "array"),  # which only declares it
        ("std::stringstream", ["iostream"], "sstream"),
        ("FLT_MAX", ["torch/extension.h"], "cfloat"),
        ("std::ofstream", ["torch/extension.h"], "fstream"),
        ("std::accumulate", ["torch/extension.h"], None),
        ("printf", [standard.OF_NVCC, "vector"], "cstdio"),
        ("memcpy", [standard.OF_NVCC], None),
        ("memcpy", ["vector"], "cstring"),
        ("std::nothing", ["vector"], None),
    ],
)
def test_what_headers_bring(name: str, headers: list[str], home: str | None) -> None:
    assert standard.lacking(name, headers) == home


POINTER = "std::unique_ptr<int> p;\n"


@pytest.mark.parametrize(
    ("texts", "added"),
    [
        ({"a.cpp": "#include <vector>\n" + POINTER}, {"a.cpp": "memory"}),
        ({"a.cpp": '#include "a.h"\n', "a.h": "#include <map>\n" + POINTER}, {"a.h": "memory"}),
        # a source that does not bring it is enough, and one that does is not
        (
            {
                "a.cpp": '#include <memory>\n#include "a.h"\n',
                "b.cpp": '#include "a.h"\n#include <map>\n',
                "a.h": "#include <set>\n" + POINTER,
            },
            {"a.h": "memory"},
        ),
        ({"a.cpp": '#include <memory>\n#include "a.h"\n', "a.h": "#include <set>\n" + POINTER}, {}),
        ({"a.cpp": '#include <other/library.h>\n#include "a.h"\n', "a.h": "#include <set>\n" + POINTER}, {}),
        ({"a.cu": '#include "a.h"\n' + POINTER, "a.h": "void f();\n"}, {"a.cu": "memory"}),
        ({"a.h": "#include <set>\n" + POINTER}, {}),  # nothing says what comes before it
        # text that torch puts headers before, C, and CUDA that others include
        ({"a.py": f'load_inline("a", """#include <vector>\nat::Tensor f();\n{POINTER}""")\n'}, {}),
        ({"a.c": "#include <stdlib.h>\nint f() { return memcmp(0, 0, 0); }\n"}, {}),
        ({"a.cu": '#include "b.cu"\n#include <memory>\n', "b.cu": "#include <set>\n" + POINTER}, {}),
    ],
)
def test_whose_header_it_is(tmp_path: Path, texts: dict[str, str], added: dict[str, str]) -> None:
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = {file.path.name: file for file in port_project(tmp_path).files}
    wanted = {name: [f"#include <{header}>"] for name, header in added.items()}
    changed = {name: file for name, file in files.items() if file.changed and name in texts}
    assert {name: [change.after for change in file.changes] for name, file in changed.items()} == wanted


@pytest.mark.parametrize(
    "text",
    [
        "#include <vector>\nstd::vector<std::unique_ptr<int>> f(std::vector<int> v) { std::sort(v.begin(), v.end()); return {}; }\n",
        "#include <iostream>\nvoid f() { std::stringstream s; std::ofstream o; std::array<int, 2> a = {}; std::cout << a[0]; }\n",
        "#include <set>\nint f(std::set<int> s) { return std::accumulate(s.begin(), s.end(), 0) + std::numeric_limits<int>::max(); }\n",
        "#include <map>\n#include <string>\nfloat f(const char* a, char* b) { memcpy(b, a, 2); printf(a); assert(b); return FLT_MAX; }\n",
        "#include <cmath>\nstd::function<void()> f(std::tuple<int, std::pair<int, int>> t) { std::mutex m; return nullptr; }\n",
    ],
)
def test_what_is_added_makes_it_compile(text: str) -> None:
    def compiles(text: str) -> bool:
        command = ["g++", "-std=c++17", "-fsyntax-only", "-w", "-xc++", "-"]
        return subprocess.run(command, input=text, text=True, capture_output=True, check=False).returncode == 0

    result = port_text(Code(text), scope_of(text, "source.cpp"))
    assert not compiles(text) and {change.rule for change in result.changes} == {"standard-header"}
    assert compiles(result.text)
