"""Toolkits and CUDA_HOME: what is found, what not, and the line that fixes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from doctor.machines import broken, found, machine, one, toolkit, torch, variables

from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.machine.facts import CudaHome, Driver, Facts, PackageHeaders, PathEntry, Toolkit

CU13 = "/home/ada/venv/lib/python3.11/site-packages/nvidia/cu13"


def home(path: str, taken_from: str = "CUDA_HOME", **fields: bool) -> CudaHome:
    return replace(CudaHome(Path(path), taken_from), **fields)  # type: ignore[arg-type]


def test_no_toolkit_for_a_cuda_torch() -> None:
    nothing = broken(toolkits=(), cuda_home=None)
    finding = one(nothing, "toolkit-missing")
    assert finding.severity == "warning"
    assert finding.fix == (
        "dcnbuild toolkit install 13.0",
        'export CUDA_HOME="$(dcnbuild toolkit install 13.0)"',
    )
    assert one(replace(nothing, wants_cuda=True), "toolkit-missing").severity == "error"


def test_older_toolkits_come_from_elsewhere() -> None:
    facts = broken(toolkits=(), cuda_home=None, torch=torch("2.5.1", "12.4"))
    assert one(facts, "toolkit-missing").fix == (
        "# Install from the package repository of NVIDIA:",
        "sudo apt-get install cuda-toolkit-12-5",  # Ubuntu 24.04 has no 12.4 there
        "export CUDA_HOME=/usr/local/cuda-12.5",
    )
    debian = replace(facts, machine=replace(HEALTHY.machine, distribution="debian 12"))
    assert one(debian, "toolkit-missing").fix == (
        "dcnbuild toolkit install 12.4",
        'export CUDA_HOME="$(dcnbuild toolkit install 12.4)"',
    )
    conda = replace(facts, variables=variables(CONDA_PREFIX="/opt/conda"))
    assert one(conda, "toolkit-missing").fix == (
        "conda install -c nvidia/label/cuda-12.4.0 cuda-toolkit",
        "export CUDA_HOME=/opt/conda",
    )


@pytest.mark.parametrize(
    "facts",
    [
        HEALTHY,
        broken(toolkits=(), torch=torch("2.14.1+cpu", None)),
        broken(toolkits=(), torch=None),
        broken(toolkits=(), driver=Driver(devices=0)),  # a machine that only runs CPU code
        broken(toolkits=(), wants_cuda=False),
    ],
)
def test_where_no_toolkit_is_missed(facts: Facts) -> None:
    assert found(facts, "toolkit-missing") == []


def test_another_major_version() -> None:
    facts = broken(toolkits=(toolkit("12.4"), toolkit("11.8")))
    finding = one(facts, "cuda-mismatch")
    assert finding.severity == "error"
    assert "refuses to build extensions with CUDA 12.4" in finding.cause
    assert sum(line.startswith("CUDA 1") for line in finding.evidence) == 2
    assert any('"CUDA Version: 13.0"' in line for line in finding.evidence)
    for good in (
        broken(toolkits=(toolkit("12.4"), toolkit("13.2"))),
        broken(toolkits=()),
        broken(toolkits=(toolkit("12.4"),), torch=None),
        broken(toolkits=(toolkit("12.4"),), wants_cuda=False),
    ):
        assert found(good, "cuda-mismatch") == []


def test_another_minor_version_is_only_a_note() -> None:
    facts = broken(toolkits=(toolkit("13.2"),))
    assert one(facts, "cuda-minor-mismatch").severity == "note"
    assert found(broken(toolkits=(toolkit("12.4"),)), "cuda-minor-mismatch") == []
    assert found(broken(toolkits=(toolkit("13.2"),), torch=None), "cuda-minor-mismatch") == []


def incomplete(*missing: str, version: str = "13.0") -> Toolkit:
    return replace(toolkit(version, "CUDA_HOME"), missing=missing)


def test_a_toolkit_without_cusparse_takes_torchs_headers() -> None:
    lender = PackageHeaders(Path(f"{CU13}/include"), ("cusparse.h", "cublas_v2.h"), "13.0")
    facts = broken(toolkits=(incomplete("cusparse.h"),), package_headers=(lender,))
    finding = one(facts, "toolkit-incomplete")
    assert finding.severity == "warning"
    assert "missing: cusparse.h" in finding.evidence
    assert f"in {CU13}/include (CUDA 13.0): cusparse.h" in finding.evidence
    assert finding.fix == (f"export CPATH={CU13}/include",)
    with_cpath = replace(facts, paths=(PathEntry("CPATH", "/opt/include", True),))
    assert one(with_cpath, "toolkit-incomplete").fix == (f'export CPATH={CU13}/include:"$CPATH"',)


def test_what_cpath_fills_in_is_not_missing() -> None:
    facts = broken(toolkits=(incomplete("cusparse.h", "cublas_v2.h"),))
    entry = PathEntry("CPATH", f"{CU13}/include", True, headers=("cusparse.h", "cublas_v2.h"))
    assert found(replace(facts, paths=(entry,)), "toolkit-incomplete") == []
    half = replace(facts, paths=(replace(entry, headers=("cublas_v2.h",)),))
    assert "missing: cusparse.h" in one(half, "toolkit-incomplete").evidence


def test_headers_of_another_cuda_are_never_mixed_into_a_toolkit() -> None:
    lender = PackageHeaders(Path(f"{CU13}/include"), ("cusparse.h",), "13.2")
    facts = broken(toolkits=(incomplete("cusparse.h"),), package_headers=(lender,))
    assert one(facts, "toolkit-incomplete").fix == (
        "# Install from the package repository of NVIDIA:",
        "sudo apt-get install libcusparse-dev-13-0",
    )


def test_headers_that_nobody_lends_are_installed() -> None:
    facts = broken(toolkits=(incomplete("cusparse.h", "cublas_v2.h", version="12.4"),))
    facts = replace(facts, torch=torch("2.5.1", "12.4"))
    assert one(facts, "toolkit-incomplete").fix == (
        "# Install from the package repository of NVIDIA:",
        "sudo apt-get install libcublas-dev-12-4 libcusparse-dev-12-4",
    )
    pip = replace(incomplete("cusparse.h"), root=Path(CU13))
    assert one(broken(toolkits=(pip,)), "toolkit-incomplete").fix == (
        "python -m pip install 'cuda-toolkit[nvcc,cccl,cusparse]==13.0.*'",
    )
    cache = Path("/home/ada/.cache/dcnbuild/toolkits/cuda-13.0")
    ours = replace(incomplete("cusparse.h"), root=cache, found_by=(f"cache: {cache}", "CUDA_HOME"))
    assert one(broken(toolkits=(ours,)), "toolkit-incomplete").fix == (
        f"rm -rf {cache}",
        "dcnbuild toolkit install --math-headers 13.0",
    )
    whole = (incomplete("cusparse.h"), toolkit("13.2", "/usr/local/cuda-13.2"))
    assert one(broken(toolkits=whole), "toolkit-incomplete").fix == ("export CUDA_HOME=/usr/local/cuda-13.2",)


@pytest.mark.parametrize("vital", ["cicc", "ptxas", "cuda_runtime.h", "crt/host_config.h"])
def test_without_these_nothing_compiles(vital: str) -> None:
    facts = broken(toolkits=(incomplete("cusparse.h", vital),))
    finding = one(facts, "toolkit-incomplete")
    assert finding.severity == "error"
    assert vital in finding.cause
    assert finding.fix[0] == "dcnbuild toolkit install 13.0"


def test_what_dcnbuild_does_not_include_does_not_stop_its_build() -> None:
    facts = broken(toolkits=(incomplete("cusparse.h"),), wants_cuda=True)
    assert found(facts, "toolkit-incomplete") == []
    facts = broken(toolkits=(incomplete("cicc"),), wants_cuda=True)
    assert one(facts, "toolkit-incomplete").severity == "error"


def test_headers_of_another_release_beside_nvcc() -> None:
    mixed = replace(toolkit("13.2"), headers_version="13.0")
    finding = one(broken(toolkits=(mixed,)), "cuda-headers-mixed")
    assert finding.cause == "nvcc 13.2 refuses to compile with the headers of CUDA 13.0."
    unknown = replace(mixed, headers_version=None)
    assert found(broken(toolkits=(unknown,)), "cuda-headers-mixed") == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (home("/usr/lcoal/cuda", exists=False, has_nvcc=False), "does not exist"),
        (home("/usr/local", has_nvcc=False), "without bin/nvcc"),
        (home(":/usr/local/cuda", exists=False, has_nvcc=False), "stray colon"),
        (home("/a:/b", "CUDA_PATH", exists=False, has_nvcc=False), "CUDA_PATH lists several"),
    ],
)
def test_cuda_home_is_wrong(given: CudaHome, said: str) -> None:
    finding = one(broken(cuda_home=given), "cuda-home-wrong")
    assert said in finding.cause
    assert finding.fix == ("export CUDA_HOME=/usr/local/cuda-13.0",)


def test_cuda_home_was_meant_to_be_another_or_is_to_be_unset() -> None:
    meant = replace(home("/usr/lcoal/cuda", exists=False, has_nvcc=False), meant=Path("/usr/local/cuda"))
    assert one(broken(cuda_home=meant), "cuda-home-wrong").fix == (
        "export CUDA_HOME=/usr/local/cuda-13.0",  # what fits torch, and where that link leads
    )
    older = replace(meant, meant=Path("/usr/local/cuda-12.1"))
    facts = broken(cuda_home=older, toolkits=(toolkit("12.4"), toolkit("12.1")), torch=torch("2.5.1", "12.1"))
    assert one(facts, "cuda-home-wrong").fix == ("export CUDA_HOME=/usr/local/cuda-12.1",)
    alone = broken(cuda_home=home("/x", exists=False, has_nvcc=False), toolkits=())
    assert one(alone, "cuda-home-wrong").fix == ("unset CUDA_HOME",)


@pytest.mark.parametrize("guess", [None, home("/usr", "PATH: /usr/bin/nvcc", has_nvcc=False)])
def test_cuda_home_that_nobody_has_set_is_not_wrong(guess: CudaHome | None) -> None:
    assert found(broken(cuda_home=guess), "cuda-home-wrong") == []


def test_cuda_home_is_not_set_and_nothing_to_guess_from() -> None:
    facts = broken(cuda_home=None, toolkits=(toolkit("13.0", "/usr/local/cuda-13.0"),))
    finding = one(facts, "cuda-home-unset")
    assert finding.fix == ("export CUDA_HOME=/usr/local/cuda-13.0",)
    empty = replace(facts, cuda_home=home("/usr/local/cuda", "/usr/local/cuda", has_nvcc=False))
    assert "/usr/local/cuda has no nvcc" in one(empty, "cuda-home-unset").evidence
    for good in (
        HEALTHY,
        replace(facts, toolkits=()),
        replace(facts, torch=torch("2.14.1+cpu", None)),
        replace(facts, cuda_home=home("/usr/local/cuda", "/usr/local/cuda")),
        replace(facts, cuda_home=home("/nowhere", has_nvcc=False)),  # cuda-home-wrong says it
    ):
        assert found(good, "cuda-home-unset") == []


WRAPPER = "PATH: /usr/local/bin/nvcc"


def test_the_wrapper_that_misleads_torch() -> None:
    facts = broken(
        cuda_home=home("/usr/local", WRAPPER, has_headers=False),
        toolkits=(toolkit("13.0", WRAPPER, "/usr/local/cuda-13.0"),),
    )
    finding = one(facts, "cuda-home-guess")
    assert finding.evidence == (
        f"{WRAPPER} leads to /usr/local/cuda-13.0/bin/nvcc",
        "torch's guess: CUDA_HOME=/usr/local",
        "missing: /usr/local/include/cuda_runtime.h",
    )
    assert finding.fix == ("export CUDA_HOME=/usr/local/cuda-13.0",)
    good = replace(facts, cuda_home=home("/usr/local", WRAPPER))
    assert found(good, "cuda-home-guess") == []
    cpu = replace(facts, torch=torch("2.14.1+cpu", None))
    assert found(cpu, "cuda-home-guess") == []


def test_cuda_home_and_path_are_different_toolkits() -> None:
    facts = broken(
        toolkits=(
            toolkit("13.0", "CUDA_HOME"),
            toolkit("12.4", "PATH: /usr/local/cuda-12.4/bin/nvcc"),
        ),
        paths=(PathEntry("PATH", "/usr/local/cuda-12.4/bin", True, cuda="12.4"),),
    )
    finding = one(facts, "cuda-home-disagrees")
    assert "`nvcc -V` shows CUDA 12.4" in finding.cause
    assert finding.fix == ('export PATH=/usr/local/cuda-13.0/bin:"$PATH"',)
    assert found(replace(facts, paths=()), "cuda-home-disagrees") == []


def test_a_toolkit_that_fits_behind_one_that_does_not() -> None:
    label = "PATH: /usr/local/cuda-11.8/bin/nvcc"
    facts = broken(
        cuda_home=home("/usr/local/cuda-11.8", label),
        toolkits=(toolkit("11.8", label), toolkit("13.0", "/usr/local/cuda-13.0")),
    )
    finding = one(facts, "toolkits-shadowed")
    assert finding.fix[0] == "export CUDA_HOME=/usr/local/cuda-13.0"
    assert found(facts, "cuda-mismatch") == []
    for good in (
        replace(facts, toolkits=(toolkit("13.2", label), toolkit("13.0", "/usr/local/cuda-13.0"))),
        replace(facts, toolkits=(toolkit("11.8", label),)),
        replace(facts, cuda_home=home("/usr/local/cuda-13.0")),
    ):
        assert found(good, "toolkits-shadowed") == []


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("/bin/bash", "export CUDA_HOME=/usr/local/cuda-13.0"),
        ("/usr/bin/zsh", "export CUDA_HOME=/usr/local/cuda-13.0"),
        ("/usr/bin/fish", "set -gx CUDA_HOME /usr/local/cuda-13.0"),
        ("/bin/tcsh", "setenv CUDA_HOME /usr/local/cuda-13.0"),
    ],
)
def test_lines_for_the_shell_in_use(shell: str, line: str) -> None:
    facts = broken(cuda_home=home("/usr/local", has_nvcc=False), variables=variables(SHELL=shell))
    assert one(facts, "cuda-home-wrong").fix == (line,)


def test_no_sudo_for_root() -> None:
    facts = replace(machine(root=True), toolkits=(), torch=torch("2.8.0", "12.8"))
    assert one(facts, "toolkit-missing").fix[1].startswith("apt-get install cuda-toolkit-12-8")
