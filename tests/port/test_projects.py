"""Tests whole old projects: the changes, and that few problems remain."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

import pytest
from port.support import PROJECTS

from dcnbuild.port import code
from dcnbuild.port.output import write_copy
from dcnbuild.port.project import Options, port_project
from dcnbuild.port.result import ProjectResult
from dcnbuild.port.source import CPP_SUFFIXES
from dcnbuild.port.tokens import Token, tokenize
from dcnbuild.port.tree import Project

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


def test_a_file_is_tokenised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(text: str) -> list[Token]:
        read.append(text)
        return tokenize(text)

    monkeypatch.setattr(code, "tokenize", counted)
    result = port_project(PROJECTS / "roi_ops")
    assert result.changed and sorted(read) == sorted(
        file.old for file in result.files if file.path.suffix in CPP_SUFFIXES
    )


def test_comments_of_the_old_names_stay() -> None:
    (file,) = [f for f in port_project(PROJECTS / "warp_batch").files if f.path.name == "warp_cuda.cu"]
    assert "// THCudaBlas_Sgemm is what the first version called; see THCState_getCurrent" in file.new


def test_an_ffi_project_becomes_one_that_pip_installs() -> None:
    result = port_project(PROJECTS / "ffi_scale")
    files = {str(file.path): file for file in result.files}
    assert result.ok
    assert not files["src/scale_cuda.c"].changed
    glue = files["src/scale_cuda_glue.cpp"].new
    assert "int scale_forward_cuda(float factor, at::Tensor input, at::Tensor output) {" in glue
    assert "float *in = input.data_ptr<float>();" in glue
    assert "at::Tensor input, at::Tensor output);" in files["src/scale_cuda.h"].new
    assert 'm.def("scale_forward_cuda", &scale_forward_cuda);' in files["scale_binding.cpp"].new
    setup = files["setup.py"].new
    sources = "['src/scale_cuda_glue.cpp', 'src/scale_kernel.cu', 'scale_binding.cpp']"
    assert "'_ext.scale'" in setup and sources in setup and "[('WITH_CUDA', None)]" in setup


@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("modulated_deform_conv_cuda_forward", True),
        ("deform_conv_backward_input_cuda", True),
        ("dcn_v2_psroi_pooling_cuda_forward", True),
        ("deform_psroi_pooling_cuda_backward", True),
        ("ms_deform_attn_cuda_forward", True),
        ("deform_lines_forward", False),
    ],
)
def test_a_copy_of_dcnv2_is_told_of_the_operators(tmp_path: Path, name: str, served: bool) -> None:
    (tmp_path / "a.cpp").write_text(f"void {name}(int n) {{ AT_CHECK(n); }}\n")
    result = port_project(tmp_path)
    assert result.served == ((name,) if served else ())


def test_where_there_is_a_setup_py_the_build_script_is_named(tmp_path: Path) -> None:
    shutil.copytree(PROJECTS / "ffi_scale", tmp_path / "old")
    (tmp_path / "old/setup.py").write_text("from setuptools import setup\nsetup()\n")
    result = port_project(tmp_path / "old")
    (script,) = [file for file in result.files if file.path.name == "build.py"]
    assert [remark.id for remark in script.remarks] == ["torch-utils-ffi"] and not result.ok


def test_a_package_around_the_build_script_gives_the_module_its_name(tmp_path: Path) -> None:
    package = tmp_path / "old/lib/scale"
    shutil.copytree(PROJECTS / "ffi_scale", package)
    (package / "__init__.py").write_text("from ._ext import scale\n")
    setup = {str(f.path): f.new for f in port_project(tmp_path / "old").files}["setup.py"]
    assert "'scale._ext.scale'" in setup and "package_dir={\"\": 'lib'}" in setup


@pytest.mark.parametrize(
    "script",
    [
        "create_extension('../../x', headers=['src/scale_cuda.h'], sources=['src/scale_cuda.c'])",
        "create_extension('_ext.x', sources=['../../etc/x.c'], headers=['/etc/x.h'])",
        "create_extension(*names, **others)",
        "create_extension(name='_ext.x', sources=sources + ['src/scale_cuda.c'], extra_objects=[f'{x}.o'])",
        "create_extension()",
    ],
)
def test_a_build_script_that_is_not_understood_is_named(tmp_path: Path, script: str) -> None:
    shutil.copytree(PROJECTS / "ffi_scale", tmp_path / "old")
    (tmp_path / "old/build.py").write_text(f"from torch.utils.ffi import create_extension\n{script}\n")
    result = port_project(tmp_path / "old")
    assert {str(f.path) for f in result.files if f.old == "" and f.new} == {"src/scale_cuda_glue.cpp"}
    assert not result.ok


FLIP = {
    "build.py": "from torch.utils.ffi import create_extension\n"
    "create_extension('_ext.flip', headers=['flip.h'], sources=['flip.c'])\n",
    "__init__.py": "from .functions import flip\n",
    "functions/__init__.py": "from .._ext import flip\n",
    "flip.h": "int flip(THFloatTensor *x);\n",
    "flip.c": "#include <TH/TH.h>\nint flip(THFloatTensor *x) { return THFloatTensor_size(x, 0); }\n",
}


@pytest.mark.parametrize(("root", "module"), [("roi_flip", "roi_flip._ext.flip"), ("roi-flip", "_ext.flip")])
def test_a_tree_that_is_a_package_itself_has_its_own_name(tmp_path: Path, root: str, module: str) -> None:
    for name, text in FLIP.items():
        (tmp_path / root / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / root / name).write_text(text)
    result = port_project(tmp_path / root)
    assert result.ok
    (setup,) = (file.new for file in result.changed if file.path.name == "setup.py")
    assert repr(module) in setup and "__init__" not in setup
    package = repr(root) if root.isidentifier() else '""'
    assert f"package_dir={{{package}: '.'}}" in setup


def test_what_no_rule_knows_of_th_tensors_is_named(tmp_path: Path) -> None:
    (tmp_path / "glue.cpp").write_text("void run(THCudaTensor* x) { THCudaTensor_unfold(state, x, x, 0, 1, 2); }\n")
    (file,) = port_project(tmp_path).files
    assert "void run(at::Tensor x)" in file.new
    assert {r.subject for r in file.remarks} == {"THCudaTensor_unfold"}


def test_a_field_that_is_left_is_named_and_generic_files_stay(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").write_text("#include <TH/TH.h>\nlong* f(THFloatTensor* x) { return x->size; }\n")
    (tmp_path / "b.c").write_text("void g(THTensor* t) { THTensor_(zero)(t); }\n")
    a, b = port_project(tmp_path).files
    assert [(r.subject, r.need) for r in a.remarks] == [("x->size", "broken")]
    assert not b.changed and {r.subject for r in b.remarks} == {"THTensor", "THTensor_"}


def test_a_project_file_is_found_by_the_end_of_its_path() -> None:
    project = Project(
        {
            PurePosixPath("src/cuda/a.cu"): '#include "cuda/b.h"\n#include <c.h>\n#include "none.h"\n',
            PurePosixPath("src/cuda/b.h"): '#include "../d.h"\n',
            PurePosixPath("include/c.h"): "",
            PurePosixPath("src/d.h"): '#include "cuda/a.cu"\n',
        }
    )
    found = {str(path) for path in project.included(PurePosixPath("src/cuda/a.cu"))}
    assert found == {"src/cuda/b.h", "include/c.h", "src/d.h"}
