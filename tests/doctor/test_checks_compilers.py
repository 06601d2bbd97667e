"""Compilers that nvcc or torch's headers refuse, and what else a compilation needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from doctor.machines import broken, found, gcc, one, python, toolkit, torch, variables

from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.machine.facts import (
    Compiler,
    Driver,
    Facts,
)


def compilers(*found_by_path: Compiler, cuda: str = "12.1") -> Facts:
    """A machine with these compilers, of which nvcc calls the first."""
    return broken(
        compilers=found_by_path,
        nvcc_compiler=found_by_path[0] if found_by_path else None,
        toolkits=(toolkit(cuda, "CUDA_HOME"),),
        torch=torch("2.5.1", cuda),
    )


def test_a_gcc_that_nvcc_refuses_and_one_that_it_takes() -> None:
    facts = compilers(gcc("13.3.0"), gcc("12.4.0", "g++-12"), gcc("11.4.0", "g++-11"))
    finding = one(facts, "gcc-too-new")
    assert finding.cause == "nvcc 12.1 supports gcc up to 12, but would run gcc 13.3.0."
    assert finding.fix == (
        "export CC=/usr/bin/gcc-12",
        "export CXX=/usr/bin/g++-12",
        "export NVCC_PREPEND_FLAGS=-ccbin=/usr/bin/g++-12",
    )
    assert found(replace(facts, wants_cuda=True), "gcc-too-new") == []  # our build takes gcc 12
    assert found(replace(facts, wants_cuda=False), "gcc-too-new") == []


def test_a_gcc_that_nvcc_refuses_and_no_other() -> None:
    facts = compilers(gcc("14.2.0"))
    assert one(facts, "gcc-too-new").fix[:2] == (
        "sudo apt-get install g++-12",
        "export CC=/usr/bin/gcc-12",
    )
    assert one(replace(facts, wants_cuda=True), "gcc-too-new").severity == "error"
    fedora = replace(HEALTHY.machine, package_manager="dnf", distribution="fedora 42")
    assert one(replace(facts, machine=fedora), "gcc-too-new").fix[1:3] == (
        # Fedora has no gcc 12 beside its own, and no environment of conda is active
        "conda create -c conda-forge -p ~/gcc-12 gcc_linux-64=12 gxx_linux-64=12",
        'export CC="$HOME/gcc-12/bin/x86_64-conda-linux-gnu-gcc"',
    )
    arch = replace(HEALTHY.machine, package_manager="pacman", distribution="arch")
    assert "yay -S gcc12" in one(replace(facts, machine=arch), "gcc-too-new").fix


def test_a_gcc_that_the_toolkit_to_be_installed_will_refuse() -> None:
    """Both findings' fixes are pasted at once."""
    facts = replace(compilers(gcc("14.2.0")), toolkits=(), cuda_home=None)
    finding = one(facts, "gcc-too-new")
    assert finding.severity == "warning" and "not installed yet" in finding.evidence[0]
    assert found(replace(facts, driver=Driver()), "gcc-too-new") == []


def test_a_clang_that_nvcc_refuses() -> None:
    clang = Compiler(Path("/usr/bin/clang++-18"), "clang", "18.1.8", "NVCC_CCBIN")
    older = Compiler(Path("/usr/bin/clang++-14"), "clang", "14.0.0", "PATH")
    assert one(compilers(clang, older), "gcc-too-new").fix == (
        "export CC=/usr/bin/clang-14",
        "export CXX=/usr/bin/clang++-14",
        "export NVCC_PREPEND_FLAGS=-ccbin=/usr/bin/clang++-14",
    )


@pytest.mark.parametrize(
    "facts",
    [
        compilers(gcc("12.4.0")),
        compilers(gcc("13.3.0"), cuda="12.4"),
        replace(compilers(gcc("99.0"), cuda="99.0"), torch=torch("99.0", "99.0"), driver=Driver()),
        replace(compilers(gcc("13.3.0")), nvcc_compiler=None),
        replace(compilers(gcc("13.3.0")), torch=torch("2.5.1+cpu", None), driver=Driver()),
    ],
)
def test_where_no_gcc_is_too_new(facts: Facts) -> None:
    assert found(facts, "gcc-too-new") == []


@pytest.mark.parametrize(
    ("version", "gcc_version", "says"),
    [
        ("2.13.0", "9.5.0", 1),
        ("2.13.0", "10.2.1", 0),
        ("2.5.1", "8.5.0", 1),
        ("2.5.1", "9.4.0", 0),
        ("2.0.1", "7.5.0", 0),
        ("99.0", "4.8.5", 0),
    ],
)
def test_gcc_against_torchs_headers(version: str, gcc_version: str, says: int) -> None:
    facts = broken(torch=torch(version, "12.1"), compilers=(gcc(gcc_version),))
    assert len(found(facts, "gcc-too-old")) == says


def test_no_compiler() -> None:
    assert one(broken(compilers=()), "compiler-missing").fix == ("sudo apt-get install g++",)
    only_c = broken(compilers=(gcc("12.2.0", "gcc"),))
    assert one(only_c, "compiler-missing").severity == "error"
    named = broken(compilers=(), variables=variables(CXX="/nowhere/g++"))
    assert "CXX=/nowhere/g++" in one(named, "compiler-missing").evidence


def test_cc_and_cxx_differ() -> None:
    facts = broken(compilers=(gcc("13.3.0", "g++-13", "CXX"), gcc("11.4.0", "gcc-11", "CC")))
    assert one(facts, "compilers-differ").fix[0] == "export CC=/usr/bin/gcc-13"
    same = (gcc("13.3.0", "g++-13", "CXX"), gcc("13.3.0", "gcc-13", "CC"))
    assert found(broken(compilers=same), "compilers-differ") == []
    assert found(broken(compilers=same[:1]), "compilers-differ") == []


def test_ninja() -> None:
    assert one(python(ninja=None), "ninja-missing").fix == ("python -m pip install ninja",)
    hidden = python(ninja=None, hidden_ninja=Path("/home/ada/venv/bin/ninja"))
    assert one(hidden, "ninja-missing").fix == ('export PATH=/home/ada/venv/bin:"$PATH"',)
    assert found(replace(python(ninja=None), torch=None), "ninja-missing") == []


@pytest.mark.parametrize(("has_headers", "says"), [(False, 1), (True, 0), (None, 0)])
def test_pythons_headers(has_headers: bool | None, says: int) -> None:
    assert len(found(python(has_headers=has_headers), "python-h-missing")) == says
