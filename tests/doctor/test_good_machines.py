"""No false alarm: machines in good order, made of facts and made of files."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from doctor.machines import V100, broken, gcc, gpu_driver, torch, variables
from doctor.machines import toolkit as toolkit_facts
from machine.test_driver import LIBCUDA, OPEN_MODULE
from machine.trees import compile_library, script, toolkit, torch_install, write

from dcnbuild.doctor.checks import examine
from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.machine.collect import collect
from dcnbuild.machine.facts import CudaHome, Driver, Facts, Library, PathEntry

CU121 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
CUDA_12_4 = CudaHome(Path("/usr/local/cuda"), "PATH: /usr/local/cuda/bin/nvcc")

GOOD = {
    "NVIDIA's devel image": broken(
        torch=torch("2.5.1+cu124", "12.4", *CU121),
        toolkits=(toolkit_facts("12.4", "PATH: /usr/local/cuda/bin/nvcc"),),
        cuda_home=CUDA_12_4,
        driver=gpu_driver("550.54.15", "12.4"),
        machine=replace(HEALTHY.machine, root=True),
        paths=(
            PathEntry("PATH", "/usr/local/nvidia/bin", False),
            PathEntry("PATH", "/usr/local/cuda/bin", True, cuda="12.4"),
            PathEntry("LD_LIBRARY_PATH", "/usr/local/nvidia/lib", False),
            PathEntry("LD_LIBRARY_PATH", "/usr/local/nvidia/lib64", False),
            PathEntry("LIBRARY_PATH", "/usr/local/cuda/lib64/stubs", True, cuda="12.4"),
        ),
        variables={"SHELL": "/bin/bash"},
    ),
    "a newer driver than anything needs": broken(
        torch=torch("2.1.2+cu121", "12.1", *CU121),
        python=replace(HEALTHY.python, packages={"numpy": "1.26.4", "setuptools": "69.5.1"}),
        toolkits=(toolkit_facts("12.1", "CUDA_HOME"),),
        driver=gpu_driver("610.43.02", "13.3", V100),
        compilers=(gcc("11.4.0"), gcc("11.4.0", "gcc")),
        nvcc_compiler=gcc("11.4.0", "gcc"),
        paths=(),
    ),
    "a laptop without CUDA": broken(
        torch=torch("2.14.1+cpu", None),
        toolkits=(),
        cuda_home=None,
        driver=Driver(devices=0),
        paths=(),
        variables={"SHELL": "/usr/bin/fish"},
    ),
    "conda-forge": broken(
        torch=torch("2.14.1", "13.0", "sm_75", "sm_89", installer="conda", channel="conda-forge"),
        variables=variables(CONDA_PREFIX="/opt/conda"),
    ),
    "a GPU machine that builds nothing in CUDA's sense": broken(
        torch=torch("2.14.1", None, hip="6.4"), toolkits=(), cuda_home=None, driver=Driver()
    ),
    "a chosen architecture and compiler": broken(
        variables=variables(
            TORCH_CUDA_ARCH_LIST="8.9+PTX",
            CC="/usr/bin/gcc",
            CXX="/usr/bin/g++",
            MAX_JOBS="8",
            CUDA_VISIBLE_DEVICES="0",
        ),
        compilers=(gcc("13.3.0", "g++", "CXX"), gcc("13.3.0", "gcc", "CC")),
        libraries=(Library(Path("/x/_C.so"), architectures=("sm_80", "compute_80")),),
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_found(name: str) -> None:
    assert examine(GOOD[name]) == []


def test_a_machine_made_of_files(tmp_path: Path) -> None:
    """Every probe and every check, on a tree that has what a machine in good order has."""
    facts = good_machine(tmp_path)
    assert facts.torch is not None
    assert facts.torch.architectures[-1] == "sm_120"
    assert facts.driver.gpus[0].capability == (8, 6)
    assert facts.toolkits[0].missing == ()
    assert facts.nvcc_compiler is not None
    assert examine(facts) == []


def test_the_same_machine_with_one_thing_wrong_at_a_time(tmp_path: Path) -> None:
    """So that the test above is not silent because it looks at nothing."""

    def ids(name: str, **env: str) -> set[str]:
        return {finding.id for finding in examine(good_machine(tmp_path / name, **env))}

    top = tmp_path / "header"
    good_machine(top)
    (top / "usr/local/cuda-13.0/include/cusparse.h").unlink()
    assert {finding.id for finding in examine(collect_from(top))} == {"toolkit-incomplete"}
    assert ids("arch", TORCH_CUDA_ARCH_LIST="8.6;7.0") == {"arch-list-unknown"}
    assert ids("home", CUDA_HOME="/nowhere/cuda") == {"cuda-home-wrong"}
    assert ids("path", LIBRARY_PATH="/nowhere/cuda/lib64") == {"path-missing"}
    assert ids("hidden", CUDA_VISIBLE_DEVICES="-1") == {"gpu-hidden"}


def good_machine(top: Path, **env: str) -> Facts:
    """Lays out the tree and collects its facts."""
    write(top / "proc/driver/nvidia/version", OPEN_MODULE)
    write(top / "proc/meminfo", "MemTotal: 64000000 kB\nSwapTotal: 0 kB\n")
    compile_library(top / "driver/libcuda.so.1", LIBCUDA.replace("INIT", "0").replace("12020", "13000"))
    toolkit(top / "usr/local/cuda-13.0", "13.0")
    for name in ("gcc", "g++", "c++"):
        script(top / "bin" / name, f"echo '{name} (Ubuntu 13.3.0-6ubuntu2) 13.3.0'")
    script(top / "bin/ninja", "echo 1.13.0")
    site = top / "prefix/lib/python3.99/site-packages"
    torch_install(site, "2.14.1+cu130", "13.0")
    compile_library(
        site / "torch/lib/libtorch_python.so",
        'const char* f(void) { return "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"; }',
    )
    return collect_from(top, **env)


def collect_from(top: Path, **env: str) -> Facts:
    cuda = top / "usr/local/cuda-13.0"
    usual = {
        "PATH": f"{cuda}/bin:{top}/bin:{Path(sys.executable).parent}",
        "LD_LIBRARY_PATH": f"{top}/driver:{cuda}/lib64",
        "CUDA_HOME": str(cuda),
        "HOME": str(top),
        "SHELL": "/bin/bash",
    }
    # Not the library of the dcnbuild that runs these tests: it is of another machine.
    return collect({**usual, **env}, prefix=top / "prefix", root=top, package=top / "dcnbuild")
