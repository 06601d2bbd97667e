"""Whole projects of the old kinds: what is done to them, and that little is left."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from port.support import PROJECTS

from dcnbuild.port.output import write_copy
from dcnbuild.port.project import Options, Project, port_project
from dcnbuild.port.result import ProjectResult

OLD = ("warp_batch", "roi_ops", "shift_conv", "early_aten")
#: What no ported file may hold outside comments and strings.
GONE = (
    r"THC\w*|TH[A-Z]\w*|AT_(?:CHECK|ERROR|ASSERTM|WARN)|data(?=<)|cudaThread\w+|lazyInitCUDA|toC\w+"
    r"|ScalarConvert|globalContext|Type|__shfl_xor"
)


def names_left(result: ProjectResult) -> set[str]:
    texts = {file.path: file.new for file in result.files if file.path.suffix != ".py"}
    codes = Project(texts).codes.values()
    return {stream[i].text for code in codes for stream, i in code.names(GONE)} - {"data"}


@pytest.mark.parametrize("name", OLD)
def test_nothing_that_fails_is_left(name: str) -> None:
    result = port_project(PROJECTS / name)
    assert result.failing and result.ok
    assert names_left(result) == set()


@pytest.mark.parametrize("name", [*OLD, "ffi_scale"])
@pytest.mark.parametrize("fix_bugs", [False, True])
def test_twice_is_once(tmp_path: Path, name: str, fix_bugs: bool) -> None:
    options = Options(fix_bugs=fix_bugs)
    first = port_project(PROJECTS / name, options)
    write_copy(PROJECTS / name, tmp_path / "ported", first.files)
    second = port_project(tmp_path / "ported", options)
    assert second.changed == ()
    remarks = {f.path: f.remarks for f in first.files if f.remarks}
    assert {f.path: f.remarks for f in second.files if f.remarks} == remarks


def test_the_bugs_are_found_and_repaired() -> None:
    found = {
        (str(file.path), remark.id, remark.lines)
        for name in OLD
        for file in port_project(PROJECTS / name).files
        for remark in file.remarks
    }
    assert found == {
        ("src/cuda/warp_kernel.cu", "pad-h-twice", (29,)),
        ("src/cuda/warp_kernel.cu", "silent-cuda-error", (31,)),
        ("csrc/cuda/nms.cu", "unchecked-launch", (42,)),
        ("src/shift_conv_cuda_kernel.cu", "pad-h-twice", (46,)),
        ("src/shift_conv_cuda_kernel.cu", "silent-cuda-error", (49,)),
    }
    for name in OLD:
        result = port_project(PROJECTS / name, Options(fix_bugs=True))
        assert not any(file.remarks for file in result.files)
        assert all("pad_h, pad_h" not in file.new for file in result.files)


def test_comments_of_the_old_names_stay() -> None:
    (file,) = [
        f for f in port_project(PROJECTS / "warp_batch").files if f.path.name == "warp_cuda.cu"
    ]
    assert (
        "// THCudaBlas_Sgemm is what the first version called; see THCState_getCurrent" in file.new
    )


def test_ffi_glue_is_left_with_reasons_and_gets_a_binding() -> None:
    result = port_project(PROJECTS / "ffi_scale")
    files = {str(file.path): file for file in result.files}
    glue = files["src/scale_cuda.c"]
    assert not glue.changed and not result.ok
    assert {r.subject: r.lines for r in glue.remarks}["THCudaTensor_data"] == (7, 8)
    assert all(remark.reason and remark.advice for remark in glue.remarks)
    binding = files["src/scale_kernel_binding.cpp"]
    assert binding.old == ""
    assert '#include "scale_kernel.h"' in binding.new
    assert 'm.def("ScaleForwardLauncher", &bound_ScaleForwardLauncher' in binding.new
    assert "ScaleForward(" not in binding.new  # a kernel is started, not called


def test_glue_may_be_cpp(tmp_path: Path) -> None:
    (tmp_path / "k.h").write_text("void run_cuda(float* x, int n, cudaStream_t stream);\n")
    (tmp_path / "k.cu").write_text("void run_cuda(float* x, int n, cudaStream_t stream) {}\n")
    glue = "void run(THCudaTensor* x) { run_cuda(THCudaTensor_data(state, x), 1, 0); }\n"
    (tmp_path / "glue.cpp").write_text(glue)
    (added,) = [f for f in port_project(tmp_path).files if f.old == "" and f.new]
    assert str(added.path) == "k_binding.cpp" and "bound_run_cuda" in added.new
    (tmp_path / "glue.cpp").write_text(
        "void run(at::Tensor x) { run_cuda(x.data<float>(), 1, 0); }\n"
    )
    assert not [f for f in port_project(tmp_path).files if f.old == "" and f.new]


def test_a_project_file_is_found_by_the_end_of_its_path() -> None:
    project = Project(
        {
            PurePosixPath(
                "src/cuda/a.cu"
            ): '#include "cuda/b.h"\n#include <c.h>\n#include "none.h"\n',
            PurePosixPath("src/cuda/b.h"): '#include "../d.h"\n',
            PurePosixPath("include/c.h"): "",
            PurePosixPath("src/d.h"): '#include "cuda/a.cu"\n',
        }
    )
    found = {str(path) for path in project.included(PurePosixPath("src/cuda/a.cu"))}
    assert found == {"src/cuda/b.h", "include/c.h", "src/d.h"}
