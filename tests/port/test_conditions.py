"""Which #if branches torch 2 builds for CUDA compile."""

from __future__ import annotations

import pytest

from dcnbuild.port.code import Code
from dcnbuild.port.conditions import evaluate
from dcnbuild.port.tokens import tokenize


def truth(condition: str) -> bool | None:
    return evaluate([token for token in tokenize(condition) if token.solid])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("0", False),
        ("1", True),
        ("2 - 2", False),
        ("3 * 2 > 5", True),
        ("CUDA_VERSION >= 9000", True),
        ("CUDA_VERSION < 9000", False),
        ("CUDA_VERSION >= 12000", None),
        ("CUDART_VERSION>=10010 && defined(X)", None),
        ("CUDA_VERSION < 8000 && defined(X)", False),
        ("defined(TORCH_CHECK)", True),
        ("!defined TORCH_CHECK", False),
        ("defined(AT_CHECK) || defined(THCudaCheck)", False),
        ("defined(USE_ROCM)", False),
        ("!defined(__HIP_PLATFORM_HCC__)", True),
        ("TORCH_VERSION_MAJOR > 1 || (TORCH_VERSION_MAJOR == 1 && TORCH_VERSION_MINOR >= 5)", True),
        ("TORCH_VERSION_MAJOR == 1", False),
        ("TORCH_VERSION_MINOR >= 5", None),
        ("VERSION_GE_1_3", True),
        ("__has_include(<THC/THC.h>)", False),
        ("__has_include(<THC/THCAtomics.cuh>)", None),
        ("__has_include(<ATen/ATen.h>)", None),
        ("__cplusplus >= 201103L", True),
        ("__cplusplus >= 202002L", None),
        ("__CUDA_ARCH__ < 600", None),
        ("defined(_WIN32) ? 0 : 1", None),
        ("1 ? 1 : 0", True),
        ("SOME(THING, 3) > 2", None),
        ("(", None),
        ("", None),
        ("1 1", None),
        ("'a' == 97", None),
    ],
)
def test_conditions(condition: str, expected: bool | None) -> None:
    assert truth(condition) is expected


@pytest.mark.parametrize(
    ("lines", "dead"),
    [
        (["#if 0", "x", "#endif"], ["x"]),
        (["#if 1", "a", "#else", "x", "#endif"], ["x"]),
        (["#ifdef TORCH_CHECK", "a", "#else", "x", "#endif"], ["x"]),
        (["#ifndef TORCH_CHECK", "x", "#endif", "a"], ["x"]),
        (["#if A", "a", "#elif 0", "x", "#else", "b", "#endif"], ["x"]),
        (["#if 1", "a", "#elif A", "x", "#else", "x", "#endif"], ["x", "x"]),
        (["#if 0", "#if A", "x", "#else", "x", "#endif", "x", "#endif", "a"], ["x", "x", "x"]),
        (["#ifdef A", "a", "#else", "b", "#endif"], []),
        (["#ifdef USE_ROCM", "x", "#else", "a", "#endif"], ["x"]),
        (["#endif", "#else", "a"], []),
        (["#if 0", "x"], ["x"]),
    ],
)
def test_dead_branches(lines: list[str], dead: list[str]) -> None:
    code = Code("\n".join(lines) + "\n")
    found = [
        t.text
        for t in code.tokens
        if t.solid and any(start <= t.start < end for start, end in code.layout.dead) and not t.line
    ]
    assert found == dead


def test_a_macro_of_the_project_may_be_defined_or_not() -> None:
    code = Code("#ifdef AT_CHECK\na\n#endif\n", frozenset({"AT_CHECK"}))
    assert not code.layout.dead
