"""Tests --check: sources that compile, sources that do not and why, and a setup.py that is built and imported."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from port.support import PROJECTS
from rich.console import Console

from dcnbuild.builder.plan import CudaPlan
from dcnbuild.cli import main
from dcnbuild.errors import Finding
from dcnbuild.machine.facts import Compiler, Toolkit, TorchInstall
from dcnbuild.port.build_flags import BuildFlags, build_flags
from dcnbuild.port.check import check_project
from dcnbuild.port.output import write_copy
from dcnbuild.port.project import port_project
from dcnbuild.port.report import install_line, print_report
from dcnbuild.port.result import Build, ProjectResult
from dcnbuild.port.toolchain import Toolchain, compile_command, find_toolchain

GOOD = '#include <c10/util/Exception.h>\n#include "mine.h"\nint f(int n) { AT_CHECK(n > LEAST); return n; }\n'


def checked(tmp_path: Path, *, before: bool = True, **sources: str) -> ProjectResult:
    root = tmp_path / "old"
    for name, text in sources.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    result = port_project(root)
    write_copy(root, tmp_path / "new", result.files)
    tools = find_toolchain(os.environ, Path(sys.executable), 1)
    return check_project(tmp_path / "new", result, tools, 1, lambda text: None, before=before)


def test_what_compiles_and_what_does_not(tmp_path: Path) -> None:
    result = checked(
        tmp_path,
        include__mine_dot_h="#define LEAST 0\n",
        good_dot_cpp=GOOD,
        bad_dot_cpp=GOOD.replace("return n", "return none"),
        glue_dot_cpp=GOOD + "void g(THCudaTensor** x);\n",
        foreign_dot_cpp='#include "parrots/x.h"\n' + GOOD,
        same_dot_cpp="int g() { return 1; }\n",
    )
    files = {str(file.path): file for file in result.files}
    assert {name: file.compiles for name, file in files.items()} == {
        **{"good.cpp": True, "bad.cpp": False, "glue.cpp": False, "foreign.cpp": None},
        **{"same.cpp": None, "include/mine.h": None},  # nothing changed for these
    }
    assert {name: file.compiled for name, file in files.items()} == {
        **dict.fromkeys(("good.cpp", "bad.cpp", "glue.cpp"), False),
        **dict.fromkeys(("foreign.cpp", "same.cpp", "include/mine.h")),
    }
    assert "none" in files["bad.cpp"].output and "error" in files["bad.cpp"].output
    assert files["foreign.cpp"].note == "not tried: it includes parrots/x.h, which is not installed here"
    assert not result.ok


def test_what_porting_did_not_touch_is_compiled_once(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for name, text in (("good", "int f() { return 1; }\n"), ("bad", "int f() { return none; }\n")):
        (tmp_path / "old" / f"{name}.cpp").write_text(text)
    result = port_project(tmp_path / "old")
    tools = find_toolchain(os.environ, Path(sys.executable), 1)
    said: list[str] = []
    found = check_project(tmp_path / "old", result, tools, 1, said.append, everything=True)
    assert {str(file.path): (file.compiled, file.compiles) for file in found.files} == {
        "good.cpp": (True, True),
        "bad.cpp": (False, False),
    }
    assert sorted(said) == ["compiling bad.cpp", "compiling good.cpp"]


def test_the_table_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.cpp").write_text(GOOD.replace('#include "mine.h"\n', "").replace("LEAST", "0"))
    assert main(["port", str(tmp_path / "a.cpp"), "--diff", "--check", "--json"]) == 0
    said = capsys.readouterr().out
    report = json.loads(said[said.index("\n{\n") :])
    assert [(file["path"], file["compiles"]) for file in report["files"]] == [("a.cpp", True)]


TORCH = TorchInstall(root=Path("/t/torch"), version="2.12.0+cu130", cuda="13.0")
GCC = Compiler(Path("/usr/bin/g++"), "gcc", "12.2.0")
NVCC = Toolkit(Path("/c"), Path("/c/bin/nvcc"), "13.0", include=(Path("/c/include"),))


FLAGS = BuildFlags(("WITH_CUDA",), ("--expt-extended-lambda",))


def test_commands() -> None:
    plan = CudaPlan(NVCC, ("sm_80", "sm_90"), GCC)
    tools = Toolchain(TORCH, GCC, plan, {})
    cuda = compile_command(tools, Path("a.cu"), Path("a.o"), [Path("inc")], FLAGS)
    assert cuda[:3] == ["/c/bin/nvcc", "-ccbin", "/usr/bin/g++"]
    assert {"-Iinc", "-DWITH_CUDA", "-std=c++17", "-DTORCH_EXTENSION_NAME=ported"} <= set(cuda)
    assert [word for word in cuda if "compute_" in word] == ["-gencode=arch=compute_80,code=sm_80"]
    assert "--expt-extended-lambda" in cuda
    assert not any(word.startswith("-isystem/") for word in cuda)  # nvcc wants two words
    cpp = compile_command(tools, Path("a.cpp"), Path("a.o"), [], BuildFlags(()))
    assert cpp[0] == "/usr/bin/g++" and "-isystem/c/include" in cpp
    newer = Toolchain(TorchInstall(TORCH.root, "2.14.1", None), GCC, plan, {})
    assert "-std=c++20" in compile_command(newer, Path("a.cpp"), Path("a.o"), [], BuildFlags(()))
    parse = Toolchain(TORCH, GCC, plan, {}, front_end=True)
    cuda = compile_command(parse, Path("a.cu"), Path("a.o"), [], BuildFlags(()))
    assert "-fdevice-syntax-only" in cuda and "-c" not in cuda
    cpp = compile_command(parse, Path("a.cpp"), Path("a.o"), [], BuildFlags(()))
    assert "-fsyntax-only" in cpp and "a.o" not in cpp


def test_the_line_that_installs_the_result() -> None:
    build = Build(True, variables={"CUDA_HOME": "/opt/cuda 13", "FORCE_CUDA": "1"})
    line = "CUDA_HOME='/opt/cuda 13' FORCE_CUDA=1 pip install --no-build-isolation"
    assert install_line(build, Path("old-ported")) == f"{line} ./old-ported"
    assert install_line(build, Path("/a/b")) == f"{line} /a/b"


@pytest.mark.parametrize(("built", "said"), [(True, 1), (False, 0)])
def test_it_is_printed_where_the_build_went_through(built: bool, said: int, capsys: pytest.CaptureFixture[str]) -> None:
    result = ProjectResult((), False, build=Build(built, {"old_ext": ""}))
    print_report(Console(width=200), result, Path("old-ported"))
    assert capsys.readouterr().out.count("pip install --no-build-isolation ./old-ported") == said


def test_what_the_build_scripts_pass_is_passed(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(
        "macros = [('WITH_X', None), ('N', '3'), ('no macro', 1)]\n"
        "flags = ['-DY', '-DZ=2', '-O3', '-U__CUDA_NO_HALF_OPERATORS__']\n"
    )
    (tmp_path / "jit.py").write_text(
        "from torch.utils.cpp_extension import load\n"
        "e = load('e', ['e.cu'], extra_cuda_cflags=['--expt-extended-lambda'])\n"
    )
    (tmp_path / "other.py").write_text("x = '-DNOT_OURS'\n")
    (tmp_path / "python2.py").write_text("print 'cpp_extension', '-DNOT_READ'\n")
    assert build_flags(tmp_path) == BuildFlags(
        ("WITH_CUDA", "WITH_X", "N=3", "Y", "Z=2"),
        ("--expt-extended-lambda", "-U__CUDA_NO_HALF_OPERATORS__"),
    )


def test_of_two_headers_of_one_name_a_source_gets_the_nearer(tmp_path: Path) -> None:
    sides = ("cpu", "gpu")
    text = '#include <c10/util/Exception.h>\n#include "bounds.h"\nint f(int n) {{ AT_CHECK(n > {}); return n; }}\n'
    sources = {f"{side}__src__{side}_dot_cpp": text.format(f"LEAST_OF_{side}") for side in sides}
    headers = {f"{side}__include__bounds_dot_h": f"#define LEAST_OF_{side} 0\n" for side in sides}
    result = checked(tmp_path, before=False, **sources, **headers)
    compiled = {str(file.path): file.compiles for file in result.files if file.path.suffix == ".cpp"}
    assert compiled == {"cpu/src/cpu.cpp": True, "gpu/src/gpu.cpp": True}


def test_a_directory_with_its_own_math_h_does_not_hide_the_compilers(tmp_path: Path) -> None:
    old = '#include "util/math.h"\n#include "twice.h"\n#include <math.h>\n#include <c10/util/Exception.h>\n'
    sources = {
        "src__a_dot_cpp": old + "double f(double x) { AT_CHECK(x > 0); return sqrt(twice(x)); }\n",
        "src__util__math_dot_h": "#pragma once\n",
        "include__twice_dot_h": "inline double twice(double x) { return 2 * x; }\n",
    }
    (source,) = [file for file in checked(tmp_path, before=False, **sources).files if file.path.suffix == ".cpp"]
    assert source.compiles, source.output


def test_flags_of_a_build_without_cuda_are_left_out(tmp_path: Path) -> None:
    script = "if cpu_only:\n    flags += ['-DCPU_ONLY', '-DNO_CUDA=1', '-DUSE_ROCM']\nelse:\n    flags += ['-DWITH_OPS', '-DCPU_CORES=2']\n"
    (tmp_path / "setup.py").write_text(script)
    assert build_flags(tmp_path) == BuildFlags(("WITH_CUDA", "WITH_OPS", "CPU_CORES=2"))


def test_cuda_sources_without_a_toolkit_are_not_tried(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/a.cu").write_text(GOOD)
    result = port_project(tmp_path / "old")
    write_copy(tmp_path / "old", tmp_path / "new", result.files)
    no_toolkit = Finding("toolkit-missing", "error", "There is no CUDA toolkit", "none was found")
    tools = Toolchain(TORCH, GCC, no_toolkit, {})
    (file,) = check_project(tmp_path / "new", result, tools, 1, lambda text: None).files
    assert (file.compiles, file.note) == (None, "not tried: There is no CUDA toolkit")


SETUP = """\
import torch
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

extension = CppExtension("old_ext", ["src/a.cpp", "src/b.cpp"], extra_compile_args=["-std=c++14", "-O0"])
setup(name="old_ext", ext_modules=[extension], cmdclass={"build_ext": BuildExtension})
"""


BINDING = """\
#include <torch/torch.h>
int g(int n) { AT_CHECK(n > 0); return n; }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("g", &g); }
"""
#: torch's own header takes half a minute to compile: one binding with it is enough.
LIGHT = BINDING.replace("torch/torch.h", "pybind11/pybind11.h>\n#include <c10/util/Exception.h")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> ProjectResult:
    """A project with a setup.py, and with another one in a directory, each built where it is."""
    plain = GOOD.replace('#include "mine.h"\n', "").replace("LEAST", "0")
    inner = SETUP.replace("old_ext", "inner_ext").replace(', "src/b.cpp"', "")
    return checked(
        tmp_path_factory.mktemp("built"),
        before=False,
        setup_dot_py=SETUP,
        src__a_dot_cpp=BINDING,
        src__b_dot_cpp=plain,
        ops__one__setup_dot_py=inner,
        ops__one__src__a_dot_cpp=LIGHT,
    )


@pytest.mark.slow
def test_a_setup_script_is_built_and_imported(built: ProjectResult) -> None:
    assert built.build is not None
    imported = {"old_ext": "", "inner_ext": ""}
    assert (built.build.built, built.build.imported) == (True, imported), built.build
    assert {str(f.path): f.compiles for f in built.files if f.path.suffix == ".cpp"} == dict.fromkeys(
        ("src/a.cpp", "src/b.cpp", "ops/one/src/a.cpp"), True
    )
    assert built.ok


@pytest.mark.slow
def test_setup_scripts_in_directories_are_built_where_they_are(built: ProjectResult) -> None:
    assert built.build is not None
    assert install_line(built.build, Path("new")).endswith(" ./new/ops/one ./new")


@pytest.mark.slow
@pytest.mark.parametrize("old", ["projects/early_aten", "cases/elementwise-apply/in", "cases/element-types/in"])
def test_a_ported_cuda_source_compiles(tmp_path: Path, old: str) -> None:
    tools = find_toolchain(os.environ, Path(sys.executable), 1)
    if not isinstance(tools.cuda, CudaPlan):
        pytest.skip(f"no CUDA toolkit: {tools.cuda.title}")
    result = port_project(PROJECTS.parent / old)
    write_copy(PROJECTS.parent / old, tmp_path / "new", result.files)
    checked = check_project(tmp_path / "new", result, tools, 1, lambda text: None, setup=False, before=False)
    (file,) = (file for file in checked.files if file.path.suffix == ".cu")
    assert (file.compiles, file.output, file.remarks) == (True, "", ())
