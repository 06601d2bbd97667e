"""Tests the text of the commands that compile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dcnbuild.builder.compile import plan_steps, portable_commands, record_of
from dcnbuild.builder.flavour import STABLE, flavour_of
from dcnbuild.builder.plan import BuildPlan, CudaPlan
from dcnbuild.builder.record import LibraryRecord
from dcnbuild.builder.sources import Library
from dcnbuild.builder.steps import Step, library_steps
from dcnbuild.machine.facts import Compiler, Toolkit, TorchInstall

TORCH = TorchInstall(Path("/env/torch"), "2.14.1+cu130", "13.0")
CXX = Compiler(Path("/usr/bin/c++"), "gcc", "12.2.0")
TOOLKIT = Toolkit(Path("/cuda"), Path("/cuda/bin/nvcc"), "13.0", libraries=(Path("/cuda/lib64"),))


@pytest.fixture
def csrc(tmp_path: Path) -> Path:
    for name in ("schema.h", "one.cpp", "cpu/one.cpp", "cpu/two.cpp", "cuda/one.cu"):
        path = tmp_path / "csrc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "csrc"


def cuda_steps(csrc: Path, host: Compiler | None = CXX) -> tuple[Step, ...]:
    return library_steps("cuda", csrc, TORCH, STABLE, CXX, TOOLKIT, ("sm_80", "sm_90", "compute_90"), host)


def test_every_source_is_compiled_and_linked(csrc: Path) -> None:
    *compiles, link = library_steps("cpu", csrc, TORCH, STABLE, CXX)
    assert [Path(step.inputs[0]).relative_to(csrc).as_posix() for step in compiles] == [
        "cpu/one.cpp",
        "cpu/two.cpp",
        "one.cpp",
    ]
    assert len({step.output for step in compiles}) == 3  # two of them are called one.cpp
    assert link.inputs == tuple(step.output for step in compiles)
    assert link.output == "dcnbuild_cpu.so"


def test_cpu_flags(csrc: Path) -> None:
    step = library_steps("cpu", csrc, TORCH, STABLE, CXX)[0]
    assert step.command[0] == "/usr/bin/c++"
    assert {
        "-std=c++17",
        "-DTORCH_TARGET_VERSION=0x020a000000000000",
        "-fvisibility=hidden",
    } <= set(step.command)
    assert not any(flag.startswith("-march") or "Python" in flag for flag in step.command)
    assert step.depfile in step.command


def test_aten_flags(csrc: Path) -> None:
    torch = TorchInstall(Path("/env/torch"), "2.5.1+cu124", "12.4", cxx11_abi=False)
    flavour = flavour_of(torch)
    *compiles, link = library_steps("cpu", csrc, torch, flavour, CXX)
    assert all("-D_GLIBCXX_USE_CXX11_ABI=0" in step.command for step in compiles)
    assert {"-ltorch_cpu", "-lc10"} <= set(link.command)
    compile_step, link = library_steps("cuda", csrc, torch, flavour, CXX, TOOLKIT, ("sm_80",), CXX)
    assert {"-std=c++17", "-D_GLIBCXX_USE_CXX11_ABI=0"} <= set(compile_step.command)
    assert {"-ltorch_cuda", "-lc10_cuda", "-lc10"} <= set(link.command)


def test_cuda_flags(csrc: Path) -> None:
    compile_step, link = cuda_steps(csrc)
    command = " ".join(compile_step.command)
    assert compile_step.command[0] == "/cuda/bin/nvcc"
    assert "-DUSE_CUDA" in compile_step.command
    assert "-gencode=arch=compute_80,code=sm_80" in command
    assert "-gencode=arch=compute_90,code=compute_90" in command
    assert "-ccbin /usr/bin/c++" in command
    assert link.command[0] == "/usr/bin/c++"
    assert "-lcudart_static" in link.command
    assert "-L/cuda/lib64" in link.command
    assert "-lcudart" not in link.command


def test_nvcc_finds_its_own_host_compiler_where_none_is_given(csrc: Path) -> None:
    assert "-ccbin" not in cuda_steps(csrc, host=None)[0].command


def test_no_library_has_a_run_path(csrc: Path) -> None:
    for steps in (library_steps("cpu", csrc, TORCH, STABLE, CXX), cuda_steps(csrc)):
        assert not any("rpath" in word for word in steps[-1].command)


def test_cuda_needs_a_toolkit(csrc: Path) -> None:
    with pytest.raises(ValueError, match="needs a toolkit, got None"):
        library_steps("cuda", csrc, TORCH, STABLE, CXX)


def test_libraries_are_hardened(csrc: Path) -> None:
    for steps in (library_steps("cpu", csrc, TORCH, STABLE, CXX), cuda_steps(csrc)):
        *compiles, link = steps
        assert all("-fstack-protector-strong" in " ".join(step.command) for step in compiles)
        assert "-Wl,-z,relro,-z,now" in link.command


@pytest.mark.parametrize("library", ["cpu", "cuda"])
def test_a_record_is_the_same_wherever_the_same_is_built(csrc: Path, library: Library) -> None:
    """Two checkouts in two environments, with copies of one toolkit in two places, give equal records."""
    records = []
    for place in (Path("/home/ada/one"), Path("/tmp/pip-req-build-x/two/deeper")):
        torch = TorchInstall(place / "lib/python3.11/site-packages/torch", "2.14.1+cu130", "13.0")
        root = place / "cuda"
        toolkit = Toolkit(root, root / "bin/nvcc", "13.0", libraries=(root / "lib64",))
        compiler = Compiler(place / "bin/c++", "gcc", "12.2.0")
        cuda = CudaPlan(toolkit, ("sm_80",), compiler)
        plan = BuildPlan(torch, STABLE, compiler, cuda, None)
        # library_steps looks at the sources, which are in one place here
        steps = plan_steps(library, plan, csrc)
        moved = [
            replace(step, command=tuple(w.replace(str(csrc), f"{place}/csrc") for w in step.command)) for step in steps
        ]
        commands = portable_commands(moved, plan, place / "csrc")
        assert str(place) not in " ".join(commands)
        record = record_of(plan, {library: LibraryRecord("", 0, "", commands=commands)})
        records.append(record)
    assert records[0] == records[1]
    assert "-Isite-packages" in commands[0] or "-isystem site-packages/torch/include" in commands[0]
    assert "-c csrc/" in commands[0]
    assert records[0].compiler == "gcc 12.2.0 (c++)"
