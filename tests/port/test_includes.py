"""Tests headers that are removed, and headers that are added for names in rewritten code."""

from __future__ import annotations

import pytest
from port.support import port_cpp


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#include <THC/THC.h>\n", "#include <ATen/cuda/CUDAContext.h>\n"),
        ('#include "THC/THC.h" // old\n', "#include <ATen/cuda/CUDAContext.h> // old\n"),
        ("#  include <THC/THC.h>\n", "#  include <ATen/cuda/CUDAContext.h>\n"),
        ("#include <THC/THC.h>", "#include <ATen/cuda/CUDAContext.h>"),
        (
            "#include <ATen/cuda/CUDAContext.h>\n#include <THC/THC.h>\n#include <a.h>\n",
            "#include <ATen/cuda/CUDAContext.h>\n#include <a.h>\n",
        ),
        (
            "#include <ATen/cuda/CUDAContext.h>\n\n#include <THC/THC.h>\n\nint i;\n",
            "#include <ATen/cuda/CUDAContext.h>\n\nint i;\n",
        ),
        # the one under a condition does not make the other needless
        (
            "#ifdef A\n#include <ATen/cuda/CUDAContext.h>\n#endif\n#include <THC/THC.h>\n",
            "#ifdef A\n#include <ATen/cuda/CUDAContext.h>\n#endif\n#include <ATen/cuda/CUDAContext.h>\n",
        ),
        (
            "#ifdef WITH_CUDA\n#include <THC/THC.h>\n#endif\n",
            "#ifdef WITH_CUDA\n#include <ATen/cuda/CUDAContext.h>\n#endif\n",
        ),
        ("#include <THC/THCThrustAllocator.cuh>\n", "#include <ATen/cuda/ThrustAllocator.h>\n"),
        ("#include <THCUNN/common.h>\n", "#include <ATen/cuda/CUDAContext.h>\n"),
        ("#include <TH/TH.h>\nint i;\n", "int i;\n"),
        ("#include <THCustom/mine.h>\n", "#include <THCustom/mine.h>\n"),
        ('#include "THC.h"\nint i;\n', "#include <ATen/cuda/CUDAContext.h>\nint i;\n"),
        ('#include "TH.h"\nint i;\n', "int i;\n"),
        ("#include <ATen/Type.h>\n", "#include <ATen/core/DeprecatedTypeProperties.h>\n"),
        (
            "#include <c10/cuda/CUDAGuard.h>\n#include <ATen/cuda/CUDAGuard.h>\nint i;\n",
            "#include <c10/cuda/CUDAGuard.h>\nint i;\n",
        ),
    ],
)
def test_headers_that_are_gone(before: str, after: str) -> None:
    assert port_cpp(before).text == after


def test_a_header_of_the_project_stays_whatever_its_name() -> None:
    text = '#include "THC.h"\nint i;\n'
    assert port_cpp(text, THC__h="#pragma once\n").text == text


def test_a_header_that_torchs_others_once_brought_comes_with_the_first_change() -> None:
    use = "auto f(at::Tensor x) { AT_CHECK(x.dim() == 1); return at::cuda::getCurrentCUDAStream(); }\n"
    before = f"#include <ATen/ATen.h>\n#include <ATen/cuda/detail/TensorInfo.cuh>\n{use}"
    assert "#include <ATen/cuda/CUDAContext.h>\n" in port_cpp(before).text
    stream = before.replace("detail/TensorInfo.cuh", "CUDAEvent.h")
    assert "CUDAContext.h" not in port_cpp(stream).text
    modern = before.replace("AT_CHECK", "TORCH_CHECK")
    assert port_cpp(modern, deprecated=False).text == modern


CHECK = "void f() { THCudaCheck(g()); }\n"
PORTED = "void f() { C10_CUDA_CHECK(g()); }\n"
HEADER = "#include <c10/cuda/CUDAException.h>\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # behind the last include that comes before
        (
            f"#include <a.h>\n#include <b.h>\n\n{CHECK}#include <late.h>\n",
            f"#include <a.h>\n#include <b.h>\n{HEADER}\n{PORTED}#include <late.h>\n",
        ),
        # not twice, whoever brings it
        (f"#include <c10/cuda/CUDAGuard.h>\n{CHECK}", f"#include <c10/cuda/CUDAGuard.h>\n{PORTED}"),
        # under the condition of its use
        (
            f"#include <a.h>\n#ifdef WITH_CUDA\n#include <b.h>\n#endif\n#ifdef WITH_CUDA\n{CHECK}#endif\n",
            f"#include <a.h>\n#ifdef WITH_CUDA\n#include <b.h>\n{HEADER}#endif\n#ifdef WITH_CUDA\n{PORTED}#endif\n",
        ),
        (
            f"#include <a.h>\n#ifdef WITH_CUDA\n{CHECK}#endif\n",
            f"#include <a.h>\n#ifdef WITH_CUDA\n{HEADER}#endif\n#ifdef WITH_CUDA\n{PORTED}#endif\n",
        ),
        # not inside extern "C"
        (
            f'#include <a.h>\nextern "C" {{\n#include <b.h>\n}}\n{CHECK}',
            f'#include <a.h>\n{HEADER}extern "C" {{\n#include <b.h>\n}}\n{PORTED}',
        ),
        # no include at all: behind what a header begins with
        (f"#pragma once\n\n{CHECK}", f"#pragma once\n{HEADER}\n{PORTED}"),
        (
            f"#ifndef A_H\n#define A_H\n{CHECK}#endif\n",
            f"#ifndef A_H\n#define A_H\n{HEADER}{PORTED}#endif\n",
        ),
        (f"// licence\n\n// f\n{CHECK}", f"// licence\n{HEADER}\n// f\n{PORTED}"),
        (CHECK, HEADER + PORTED),
        (
            "#include <a.h>\r\n" + CHECK,
            "#include <a.h>\r\n" + HEADER.replace("\n", "\r\n") + PORTED,
        ),
        (
            f"#include <a.h>\n{CHECK}#include <b.h>",
            f"#include <a.h>\n{HEADER}{PORTED}#include <b.h>",
        ),
    ],
)
def test_where_a_header_goes(before: str, after: str) -> None:
    assert port_cpp(before).text == after


def test_the_headers_of_the_project_count() -> None:
    header = "#pragma once\n#include <c10/cuda/CUDAException.h>\n"
    assert port_cpp(f'#include "mine.h"\n{CHECK}', mine__h=header).text == f'#include "mine.h"\n{PORTED}'


def test_what_a_removed_header_brought_is_added() -> None:
    before = (
        "#include <THC/THC.h>\n"
        'void f(cudaStream_t s) { printf("%f", sqrt(2.0)); AT_DISPATCH_ALL_TYPES(t, "f", [&] {}); }\n'
    )
    lines = port_cpp(before).text.splitlines()
    assert lines[0] == "#include <ATen/cuda/CUDAContext.h>"
    assert {"#include <cstdio>", "#include <cmath>", "#include <ATen/Dispatch.h>"} <= set(lines)
    # and a file that loses nothing gets nothing
    kept = before.replace("THC/THC.h", "mine.h")
    assert port_cpp(kept).text == kept


def test_helpers_come_once_with_their_headers() -> None:
    call = "THCudaBlas_Sgemm(state, 'n', 'n', m, n, k, 1.f, a, m, b, k, 0.f, c, m);"
    before = f"#include <vector>\n#ifdef A\n#include <a.h>\n#endif\nvoid f() {{\n  {call}\n  {call}\n}}\n"
    after = port_cpp(before).text
    assert after.count("inline void ported_cublas_sgemm(") == 1
    assert after.index("#include <ATen/cuda/CUDAContext.h>") < after.index("#ifndef PORTED_CUBLAS_BASE")
    assert after.index("#endif\n\n#ifndef PORTED_CUBLAS_BASE") < after.index("void f()")
    more = after.replace("void f()", f"void g() {{ {call} }}\nvoid f()")
    assert port_cpp(more).text.count("inline void ported_cublas_sgemm(") == 1
