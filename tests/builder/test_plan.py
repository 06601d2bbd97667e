"""Tests the build plan on made-up machines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from dcnbuild.builder.flavour import STABLE, flavour_of, refusal
from dcnbuild.builder.plan import BuildPlan, cuda_mode, plan_build
from dcnbuild.builder.record import BuildRecord
from dcnbuild.errors import FindingError
from dcnbuild.machine.facts import (
    Compiler,
    Driver,
    Facts,
    Gpu,
    Machine,
    Python,
    Toolkit,
    TorchInstall,
)

TORCH = TorchInstall(Path("/env/torch"), "2.14.1+cu130", "13.0", True, ("sm_75", "sm_80", "sm_90", "sm_100"))
CPU_TORCH = TorchInstall(Path("/env/torch"), "2.14.1+cpu", None)
GCC = Compiler(Path("/usr/bin/c++"), "gcc", "12.2.0", "PATH")


def toolkit(version: str, missing: tuple[str, ...] = ()) -> Toolkit:
    root = Path(f"/usr/local/cuda-{version}")
    return Toolkit(root, root / "bin/nvcc", version, ("PATH",), missing=missing)


def plan(
    torch: TorchInstall | None = TORCH,
    toolkits: tuple[Toolkit, ...] = (toolkit("13.0"),),
    compilers: tuple[Compiler, ...] = (GCC,),
    mode: str = "auto",
    gpus: tuple[Gpu, ...] = (),
    nvcc_compiler: Compiler | None = None,
    **variables: str,
) -> BuildPlan:
    facts = Facts(
        machine=Machine("Linux", "x86_64", package_manager="apt-get"),
        python=Python("3.11.7", Path("/env/bin/python"), Path("/env"), Path("/usr")),
        torch=torch,
        toolkits=toolkits,
        compilers=compilers,
        nvcc_compiler=nvcc_compiler or (compilers[0] if compilers else None),
        driver=Driver(gpus=gpus),
        variables=variables,
    )
    return plan_build(facts, cuda_mode({"DCNBUILD_CUDA": mode}))


def test_torch_and_toolkit_share_architectures() -> None:
    cuda = plan().cuda
    assert cuda is not None
    assert cuda.architectures == ("sm_75", "sm_80", "sm_90", "sm_100", "compute_100")
    assert cuda.host == GCC


def test_arch_list_decides_the_architectures() -> None:
    cuda = plan(TORCH_CUDA_ARCH_LIST="8.0 9.0+PTX").cuda
    assert cuda is not None
    assert cuda.architectures == ("sm_80", "sm_90", "compute_90")


@pytest.mark.parametrize(("text", "said"), [("9.9x", "9.9x"), ("3.5", "sm_35"), ("Hoper", "Hoper"), ("5.0", "sm_50")])
def test_arch_list_that_cannot_be_compiled_for(text: str, said: str) -> None:
    with pytest.raises(FindingError, match=said) as caught:
        plan(TORCH_CUDA_ARCH_LIST=text)
    assert caught.value.finding.id == "arch-list-unknown"


@pytest.mark.parametrize(
    ("torch", "toolkits", "compilers", "id", "said"),
    [
        (CPU_TORCH, (toolkit("13.0"),), (GCC,), "torch-cpu-only", "2.14.1+cpu"),
        (TORCH, (), (GCC,), "toolkit-missing", "No nvcc was found"),
        (TORCH, (toolkit("12.4"),), (GCC,), "cuda-mismatch", "/usr/local/cuda-12.4"),
        (TORCH, (toolkit("13.0", ("cicc",)),), (GCC,), "toolkit-incomplete", "cicc"),
        (
            TORCH,
            (toolkit("13.0"),),
            (Compiler(Path("/usr/bin/c++"), "gcc", "19.1.0", "PATH"),),
            "gcc-too-new",
            "19.1.0",
        ),
    ],
)
def test_why_cuda_is_left_out(
    torch: TorchInstall,
    toolkits: tuple[Toolkit, ...],
    compilers: tuple[Compiler, ...],
    id: str,
    said: str,
) -> None:
    result = plan(torch, toolkits, compilers)
    assert result.cuda is None
    assert result.cuda_left_out is not None
    assert result.cuda_left_out.id == id
    assert said in str(FindingError(result.cuda_left_out))
    with pytest.raises(FindingError, match=said.replace("+", r"\+")):
        plan(torch, toolkits, compilers, mode="on")


def test_torch_for_rocm_has_no_cuda_half() -> None:
    torch = TorchInstall(Path("/env/torch"), "2.14.1+rocm6.4", None, hip="6.4")
    result = plan(torch)
    assert result.cuda is None
    assert result.cuda_left_out is not None
    assert result.cuda_left_out.id == "torch-for-rocm"


def test_the_static_runtime_is_needed() -> None:
    result = plan(toolkits=(toolkit("13.0", ("libcudart_static.a",)),))
    assert result.cuda_left_out is not None
    assert "libcudart_static.a" in result.cuda_left_out.cause


def test_without_torch_nothing_is_planned() -> None:
    with pytest.raises(FindingError) as caught:
        plan(torch=None)
    assert caught.value.finding.id == "torch-missing"


def test_a_complete_toolkit_comes_before_an_incomplete_one() -> None:
    cuda = plan(toolkits=(toolkit("13.0", ("cicc",)), toolkit("13.2"))).cuda
    assert cuda is not None
    assert cuda.toolkit.version == "13.2"


def test_native_architectures_are_those_of_the_gpus() -> None:
    gpus = (Gpu("a", (9, 0)), Gpu("b", (12, 0)), Gpu("c", (9, 0)))
    cuda = plan(gpus=gpus, TORCH_CUDA_ARCH_LIST="native").cuda
    assert cuda is not None
    assert cuda.architectures == ("sm_90", "sm_120")


def test_native_without_a_gpu_is_as_if_unset() -> None:
    assert plan(TORCH_CUDA_ARCH_LIST="native") == plan()


def test_debians_nvcc_keeps_its_own_host_compiler() -> None:
    cuda = plan(nvcc_compiler=Compiler(Path("/x/gcc"), "gcc", "12.2.0", "beside nvcc")).cuda
    assert cuda is not None
    assert cuda.host is None


def test_headers_that_we_do_not_use_may_be_missing() -> None:
    assert plan(toolkits=(toolkit("13.0", ("cusparse.h", "cublas_v2.h")),)).cuda is not None


def test_the_first_toolkit_of_torchs_major_is_taken() -> None:
    cuda = plan(toolkits=(toolkit("12.4"), toolkit("13.2"), toolkit("13.0"))).cuda
    assert cuda is not None
    assert cuda.toolkit.version == "13.2"


def test_cuda_can_be_switched_off() -> None:
    result = plan(mode="off")
    assert result.cuda is None
    assert result.cuda_left_out is not None
    assert result.cuda_left_out.id == "cuda-off"


def test_mode_that_is_none() -> None:
    with pytest.raises(ValueError, match="'yes', expected auto, on or off"):
        cuda_mode({"DCNBUILD_CUDA": "yes"})


def test_an_older_gcc_is_taken_for_nvcc_where_the_default_is_too_new() -> None:
    newer = Compiler(Path("/usr/bin/c++"), "gcc", "15.1.0", "PATH")
    older = Compiler(Path("/usr/bin/g++-13"), "gcc", "13.3.0", "PATH")
    torch = TorchInstall(Path("/env/torch"), "2.10.0+cu128", "12.8", True, ("sm_90",))
    result = plan(torch, (toolkit("12.4"),), (newer, older))
    assert result.compiler == newer
    assert result.cuda is not None
    assert result.cuda.host == older


def test_the_named_compiler_is_taken() -> None:
    clang = Compiler(Path("/opt/clang++"), "clang", "18.1.0", "CXX")
    assert plan(compilers=(clang, GCC), CXX="/opt/clang++").compiler == clang


def test_a_named_compiler_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FindingError, match="CXX=/opt/none"):
        plan(compilers=(GCC,), CXX="/opt/none")


def test_gcc_is_no_cxx_compiler() -> None:
    """`gcc` compiles C++ but links without its library."""
    gcc = Compiler(Path("/usr/bin/gcc"), "gcc", "12.2.0", "PATH")
    with pytest.raises(FindingError, match="No C\\+\\+ compiler"):
        plan(compilers=(gcc,))


def test_a_ccbin_of_the_users_is_left_alone() -> None:
    cuda = plan(NVCC_PREPEND_FLAGS="-ccbin /opt/g++").cuda
    assert cuda is not None
    assert cuda.host is None


@pytest.mark.parametrize("version", ["2.10.0", "2.14.1+cu130", "2.16.0a0+git1234", "3.0.0"])
def test_stable_flavour(version: str) -> None:
    assert flavour_of(torch_of(version)) is STABLE
    assert refusal(built("stable", "2.14.1"), version, cxx11_abi=True) is None


@pytest.mark.parametrize(
    ("version", "requirement"),
    [
        ("2.0.1+cu117", "torch>=2.0,<2.1"),
        ("2.5.1", "torch>=2.5,<2.6"),
        ("2.9.1+cpu", "torch>=2.9,<2.10"),
        ("2.6.0a0+git1234", "torch>=2.6.dev0,<2.7"),
        ("2.7.0.dev20250101+cu128", "torch>=2.7.dev0,<2.8"),
    ],
)
def test_aten_flavour_is_tied_to_its_minor_release(version: str, requirement: str) -> None:
    flavour = flavour_of(torch_of(version))
    assert (flavour.name, flavour.requirement) == ("aten", requirement)
    assert SpecifierSet(requirement.removeprefix("torch")).contains(version, prereleases=True)


@pytest.mark.parametrize("abi", [True, False])
def test_aten_flavour_has_the_cxx_abi_of_its_torch(abi: bool) -> None:
    flags = flavour_of(torch_of("2.6.0", abi)).flags
    assert f"-D_GLIBCXX_USE_CXX11_ABI={int(abi)}" in flags
    assert not any("TORCH_TARGET_VERSION" in flag for flag in flags)


@pytest.mark.parametrize("version", ["1.13.1", "1.8.0+cu111"])
def test_torch_without_a_flavour(version: str) -> None:
    with pytest.raises(FindingError, match=rf"torch>=2\.0.*{re.escape(version)}"):
        flavour_of(torch_of(version))


@pytest.mark.parametrize(
    ("flavour", "built_with", "version", "abi", "said"),
    [
        ("stable", "2.14.1+cu130", "2.9.1", True, "torch>=2.10, this is torch 2.9.1"),
        ("aten", "2.5.1+cu124", "2.6.0", False, "torch>=2.5,<2.6, this is torch 2.6.0"),
        ("aten", "2.5.1+cu124", "2.4.1", False, "built with torch 2.5.1+cu124"),
        ("aten", "2.9.1", "2.14.1", False, "torch>=2.9,<2.10, this is torch 2.14.1"),
        ("aten", "2.5.1+cu124", "2.5.1", True, "2.5.1 with _GLIBCXX_USE_CXX11_ABI=1"),
    ],
)
def test_library_of_another_torch(flavour: str, built_with: str, version: str, abi: bool, said: str) -> None:
    reason = refusal(built(flavour, built_with, abi=False), version, abi)
    assert reason is not None
    assert said in reason


def test_aten_library_serves_its_minor_release() -> None:
    assert refusal(built("aten", "2.5.1+cu124", abi=False), "2.5.0+cpu", cxx11_abi=False) is None
    assert refusal(built("aten", "2.5.1+cu124", abi=None), "2.5.1", cxx11_abi=True) is None


def torch_of(version: str, abi: bool | None = None) -> TorchInstall:
    return TorchInstall(Path("/env/torch"), version, None, abi)


def built(flavour: str, torch: str, abi: bool | None = True) -> BuildRecord:
    return BuildRecord("0.1.0", flavour, torch, None, "gcc 12.2.0 (/usr/bin/c++)", torch_cxx11_abi=abi)


@pytest.mark.parametrize("variable", ["CUDA_HOME", "CUDA_PATH"])
def test_a_named_toolkit_that_is_not_taken_is_told_of(variable: str) -> None:
    (note,) = plan(**{variable: "/nonexistent"}).notes
    assert f"{variable}=/nonexistent has no nvcc that works" in note
    assert "the CUDA 13.0 in /usr/local/cuda-13.0 is used instead" in note
    named = Toolkit(Path("/old"), Path("/old/bin/nvcc"), "12.4", (variable,))
    (note,) = plan(toolkits=(named, toolkit("13.0")), **{variable: "/old"}).notes
    assert f"{variable}=/old is CUDA 12.4" in note


def test_a_named_toolkit_that_is_taken_is_no_news() -> None:
    root = Path("/named")
    named = Toolkit(root, root / "bin/nvcc", "13.0", ("CUDA_HOME",))
    result = plan(toolkits=(named, toolkit("13.2")), CUDA_HOME="/named")
    assert result.cuda is not None
    assert (result.cuda.toolkit, result.notes) == (named, ())
    assert plan().notes == ()
