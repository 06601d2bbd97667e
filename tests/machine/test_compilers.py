"""Tests finding host compilers, with the version lines that real compilers print."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from machine.trees import script, write

from dcnbuild.machine.compilers import find_compilers, nvcc_host_compiler


def compiler(path: Path, line: str) -> Path:
    return script(path, f"echo '{line}'", "echo 'more about it'")


GCC_12 = "g++ (Debian 12.2.0-14+deb12u1) 12.2.0"
GCC_11 = "g++-11 (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0"


@pytest.mark.parametrize(
    ("line", "kind", "version"),
    [
        (GCC_12, "gcc", "12.2.0"),
        (GCC_11, "gcc", "11.4.0"),
        ("g++ (GCC) 8.5.0 20210514 (Red Hat 8.5.0-22)", "gcc", "8.5.0"),
        ("x86_64-conda-linux-gnu-c++ (conda-forge gcc 13.3.0-2) 13.3.0", "gcc", "13.3.0"),
        ("g++ (SUSE Linux) 7.5.0", "gcc", "7.5.0"),
        ("Ubuntu clang version 14.0.0-1ubuntu1.1", "clang", "14.0.0"),
        ("clang version 18.1.8 (https://github.com/llvm/llvm-project 3b5b5c1)", "clang", "18.1.8"),
        ("Apple clang version 15.0.0 (clang-1500.3.9.4)", "clang", "15.0.0"),
        ("Debian clang version 16.0.6 (15~deb12u1)", "clang", "16.0.6"),
    ],
)
def test_version_lines(tmp_path: Path, line: str, kind: str, version: str) -> None:
    compiler(tmp_path / "c++", line)
    (found,) = find_compilers({"PATH": str(tmp_path)})
    assert (found.kind, found.version, found.found_by) == (kind, version, "PATH")


@pytest.mark.parametrize("line", ["", "no version here", "tcc"])
def test_what_tells_no_version_is_no_compiler(tmp_path: Path, line: str) -> None:
    compiler(tmp_path / "c++", line)
    assert find_compilers({"PATH": str(tmp_path)}) == []


def test_a_compiler_that_fails_or_hangs_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcnbuild.machine.files.run.__defaults__", (0.2, False))
    script(tmp_path / "c++", "exit 1")
    script(tmp_path / "g++", "exec /bin/sleep 60")
    write(tmp_path / "gcc", "no program", executable=True)
    assert find_compilers({"PATH": str(tmp_path)}) == []


def test_the_order_and_how_they_were_met(tmp_path: Path) -> None:
    for name, line in [
        ("c++", GCC_12),
        ("g++-9", "g++-9 (GCC) 9.5.0"),
        ("g++-13", "g++-13 (GCC) 13.1.0"),
        ("clang++", "clang version 18.1.8"),
        ("gcc", "gcc (GCC) 12.2.0"),
    ]:
        compiler(tmp_path / "bin" / name, line)
    (tmp_path / "bin/g++").symlink_to("c++")
    named = compiler(tmp_path / "opt/my-gcc", "my-gcc (GCC) 10.1.0")
    env = {"PATH": str(tmp_path / "bin"), "CXX": f"ccache {named} -m64", "CC": "gcc"}
    found = [(item.found_by, item.path.name) for item in find_compilers(env)]
    assert found == [
        ("CXX", "my-gcc"),
        ("CC", "gcc"),
        ("PATH", "c++"),
        ("PATH", "clang++"),
        ("PATH", "g++-13"),
        ("PATH", "g++-9"),
    ]


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """gcc 12 and gcc 11, 12 the default."""
    for name in ("gcc", "g++"):
        compiler(tmp_path / name, GCC_12.replace("g++", name, 1))
        compiler(tmp_path / f"{name}-11", GCC_11)
    return {"PATH": str(tmp_path)}


@pytest.mark.parametrize(
    ("variables", "through_torch", "expected"),
    [
        ({}, True, "gcc"),
        ({"CC": "gcc-11"}, True, "gcc-11"),
        ({"CC": "gcc-11"}, False, "gcc"),
        ({"CXX": "g++-11"}, True, "gcc"),
        ({"NVCC_CCBIN": "g++-11"}, True, "g++-11"),
        ({"NVCC_PREPEND_FLAGS": "-ccbin g++-11"}, True, "g++-11"),
        ({"NVCC_APPEND_FLAGS": "-O3 --compiler-bindir=g++-11"}, True, "g++-11"),
        ({"NVCC_PREPEND_FLAGS": "-ccbin g++-11", "CC": "gcc"}, True, "g++-11"),
        ({"CC": "absent"}, True, None),
    ],
)
def test_which_one_nvcc_calls(
    machine: dict[str, str], variables: dict[str, str], through_torch: bool, expected: str | None
) -> None:
    env = machine | variables
    found = nvcc_host_compiler(env, find_compilers(env), through_torch)
    assert (found.path.name if found else None) == expected


def test_a_gcc_beside_nvcc_comes_before_path(tmp_path: Path, machine: dict[str, str]) -> None:
    """Debian's nvidia-cuda-toolkit has a script named gcc beside nvcc, which finds a gcc that nvcc accepts."""
    nvcc = write(tmp_path / "toolkit/nvcc")
    compiler(tmp_path / "toolkit/gcc", GCC_11)
    compilers = find_compilers(machine)
    found = nvcc_host_compiler(machine, compilers, nvcc=nvcc)
    assert found is not None
    assert found.version == "11.4.0"
    env = machine | {"CC": "gcc"}
    found = nvcc_host_compiler(env, find_compilers(env), nvcc=nvcc)
    assert found is not None
    assert found.version == "12.2.0"


def test_the_compilers_of_this_machine() -> None:
    import subprocess

    shown = subprocess.run(["c++", "-dumpversion"], capture_output=True, text=True, check=True)
    assert find_compilers({"PATH": os.environ["PATH"]})[0].version.startswith(shown.stdout.strip())
