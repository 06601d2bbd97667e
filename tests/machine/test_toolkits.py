"""Tests finding CUDA toolkits in the distributors' directory layouts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from machine.trees import HEADERS, cuda_h, find, script, toolkit, write

from dcnbuild.machine.toolkits import (
    find_package_headers,
    find_toolkits,
    real_nvcc,
    torch_cuda_home,
)


def test_nothing_is_found_on_an_empty_machine(tmp_path: Path) -> None:
    assert find(tmp_path) == []
    assert torch_cuda_home({"PATH": ""}, tmp_path) is None


def test_a_complete_toolkit(tmp_path: Path) -> None:
    root = toolkit(tmp_path / "usr/local/cuda-12.4", "12.4")
    (found,) = find(tmp_path)
    assert found.root == root
    assert found.nvcc == root / "bin/nvcc"
    assert found.version == "12.4"
    assert found.headers_version == "12.4"
    assert found.include == (root / "include",)
    assert found.libraries == (root / "lib64",)
    assert found.missing == ()
    assert found.found_by == (str(root),)


def test_the_order_of_preference(tmp_path: Path) -> None:
    names = [
        "home",
        "path_variable",
        "on_path",
        "conda",
        "usr/local/cuda-12.4",
        "usr/local/cuda-9.0",
    ]
    for name in names:
        toolkit(tmp_path / name, "12.4")
    site = tmp_path / "prefix/lib/python3.99/site-packages"
    toolkit(site / "nvidia/cu13", "13.0")
    toolkit(tmp_path / "cache/dcnbuild/toolkits/13.2", "13.2")
    found = find(
        tmp_path,
        CUDA_HOME=str(tmp_path / "home"),
        CUDA_PATH=str(tmp_path / "path_variable"),
        PATH=f"/nowhere:{tmp_path}/on_path/bin",
        CONDA_PREFIX=str(tmp_path / "conda"),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )
    assert [str(item.root.relative_to(tmp_path)) for item in found] == [
        "home",
        "path_variable",
        "on_path",
        "prefix/lib/python3.99/site-packages/nvidia/cu13",
        "conda",
        "usr/local/cuda-12.4",
        "usr/local/cuda-9.0",
        "cache/dcnbuild/toolkits/13.2",
    ]


def test_versions_are_sorted_as_numbers(tmp_path: Path) -> None:
    for version in ("9.2", "10.2", "12.10"):
        toolkit(tmp_path / f"usr/local/cuda-{version}", version)
    assert [item.version for item in find(tmp_path)] == ["12.10", "10.2", "9.2"]


def test_one_toolkit_met_in_several_ways_is_one(tmp_path: Path) -> None:
    root = toolkit(tmp_path / "usr/local/cuda-12.4")
    (tmp_path / "usr/local/cuda").symlink_to("cuda-12.4")
    (found,) = find(tmp_path, CUDA_HOME=str(root), PATH=f"{tmp_path}/usr/local/cuda/bin")
    assert found.found_by == (
        "CUDA_HOME",
        f"PATH: {tmp_path}/usr/local/cuda/bin/nvcc",
        f"{tmp_path}/usr/local/cuda",
        f"{tmp_path}/usr/local/cuda-12.4",
    )


@pytest.mark.parametrize(
    "lines",
    [
        ['exec {nvcc} "$@"'],
        ['exec "{nvcc}" "$@"'],
        ["# calls /usr/bin/nvcc", "unset LD_PRELOAD", '"$REAL_HOME/bin/nvcc" "${{@}}"'],
        ['exec "$(dirname "$0")/../opt/cuda/bin/nvcc" "$@"'],
        ['exec "${{0%/*}}/../opt/cuda/bin/nvcc" "$@"'],
    ],
)
def test_wrapper_scripts_are_followed(tmp_path: Path, lines: list[str]) -> None:
    root = toolkit(tmp_path / "opt/cuda", "13.0")
    wrapper = script(tmp_path / "bin/nvcc", *(line.format(nvcc=root / "bin/nvcc") for line in lines))
    env = {"PATH": str(wrapper.parent), "REAL_HOME": str(root)}
    assert real_nvcc(wrapper, env) == root / "bin/nvcc"
    home = torch_cuda_home(env)
    assert home is not None
    assert home.path == tmp_path  # two directories up from the wrapper
    assert home.taken_from == f"PATH: {wrapper}"
    assert not home.has_headers
    assert find(tmp_path, **env)[0].root == root


def test_symlinks_to_wrappers_to_symlinks(tmp_path: Path) -> None:
    root = toolkit(tmp_path / "opt/cuda-13.0", "13.0")
    (tmp_path / "opt/cuda").symlink_to("cuda-13.0")
    script(tmp_path / "real/nvcc", f"exec {tmp_path}/opt/cuda/bin/nvcc $*")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nvcc").symlink_to("../real/nvcc")
    assert real_nvcc(tmp_path / "bin/nvcc", {}) == root / "bin/nvcc"


def test_wrappers_that_lead_nowhere_are_no_nvcc(tmp_path: Path) -> None:
    gone = script(tmp_path / "gone/nvcc", "exec /nowhere/cuda/bin/nvcc")
    script(tmp_path / "a/nvcc", f"exec {tmp_path}/b/nvcc")
    script(tmp_path / "b/nvcc", f"exec {tmp_path}/a/nvcc")
    write(tmp_path / "ccache", b"\x7fELF", executable=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "c/nvcc").symlink_to("../ccache")
    assert real_nvcc(gone, {}) is None
    assert real_nvcc(tmp_path / "a/nvcc", {}) is None
    assert real_nvcc(tmp_path / "c/nvcc", {}) is None
    assert real_nvcc(tmp_path / "absent/nvcc", {}) is None


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = toolkit(
        tmp_path / "usr/local/cuda-13.0",
        "13.0",
        headers=tuple(name for name in HEADERS if name not in ("cusparse.h", "thrust/complex.h")),
        libraries=("libcudart.so.13", "libcudart_static.a"),
    )
    write(root / "include/cccl/thrust/complex.h")  # where CUDA 13 has it
    (root / "nvvm/bin/cicc").unlink()
    (found,) = find(tmp_path)
    assert found.missing == ("cusparse.h", "libcudart.so", "libcudadevrt.a", "cicc")


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"version.json": '{"cuda": {"version": "12.4.1"}}'}, "12.4"),
        (
            {"version.json": '{"cuda": {"version": "12.4.1"}, "cuda_nvcc": {"version": "12.8.93"}}'},
            "12.8",
        ),
        ({"version.txt": "CUDA Version 10.1.243\n"}, "10.1"),
        ({"include/cuda.h": cuda_h("11.8")}, "11.8"),
        ({"include/cuda_runtime_api.h": "#define CUDART_VERSION  13020\n"}, "13.2"),
        ({"version.json": "[]", "include/cuda.h": cuda_h("12.0")}, "12.0"),
        ({"version.json": '{"cuda": 3}'}, None),
        ({}, None),
    ],
)
def test_where_the_version_is_read(tmp_path: Path, files: dict[str, str], version: str | None) -> None:
    root = tmp_path / "usr/local/cuda"
    write(root / "bin/nvcc", b"\x7fELF", executable=True)
    write(root / "include/cuda_runtime.h")
    for name, text in files.items():
        write(root / name, text)
    assert [item.version for item in find(tmp_path)] == ([version] if version else [])


def test_nvcc_is_asked_before_the_headers_beside_it_are_believed(tmp_path: Path) -> None:
    site = tmp_path / "prefix/lib/python3.99/site-packages"
    root = toolkit(site / "nvidia/cu13", "13.0")
    (root / "version.json").unlink()
    script(root / "bin/nvcc", "echo 'Cuda compilation tools, release 13.2, V13.2.51'")
    (found,) = find(tmp_path)
    assert found.version == "13.2"
    assert found.headers_version == "13.0"
    assert found.found_by == (f"pip: {root}",)


def test_debians_split_layout(tmp_path: Path) -> None:
    tools = tmp_path / "usr/lib/nvidia-cuda-toolkit/bin"
    write(tools / "nvcc", b"\x7fELF", executable=True)
    write(tools / "cicc", b"\x7fELF")
    write(tmp_path / "usr/bin/ptxas", b"\x7fELF")
    script(tmp_path / "usr/bin/nvcc", f'exec {tools}/nvcc "$@"')
    for name in HEADERS:
        write(tmp_path / "usr/include" / name)
    write(tmp_path / "usr/include/cuda.h", cuda_h("11.8"))
    for name in ("libcudart.so", "libcudart_static.a", "libcudadevrt.a"):
        write(tmp_path / "usr/lib/x86_64-linux-gnu" / name)
    (found,) = find(tmp_path, PATH=f"{tmp_path}/usr/bin")
    assert found.root == tmp_path / "usr"
    assert found.nvcc == tools / "nvcc"
    assert found.include == (tmp_path / "usr/include",)
    assert found.libraries == (tmp_path / "usr/lib/x86_64-linux-gnu",)
    assert (found.version, found.missing) == ("11.8", ())


def test_condas_layout(tmp_path: Path) -> None:
    root = tmp_path / "conda"
    write(root / "bin/nvcc", b"\x7fELF", executable=True)
    write(root / "bin/ptxas")
    write(root / "nvvm/bin/cicc")
    target = root / "targets/x86_64-linux"
    write(target / "include/cuda.h", cuda_h("12.6"))
    for name in HEADERS:
        write(target / "include" / name)
    for name in ("libcudart.so", "libcudart_static.a", "libcudadevrt.a"):
        write(target / "lib" / name)
    (found,) = find(tmp_path, CONDA_PREFIX=str(root))
    assert found.include == (target / "include",)
    assert (found.version, found.missing, found.found_by) == ("12.6", (), ("conda",))


def test_package_headers_of_both_generations(tmp_path: Path) -> None:
    site = tmp_path / "lib/python3.99/site-packages"
    write(site / "nvidia/cu13/include/cusparse.h")
    write(site / "nvidia/cu13/include/cuda.h", cuda_h("13.0"))
    write(site / "nvidia/cublas/include/cublas_v2.h")
    write(site / "nvidia/cuda_runtime/include/cuda_runtime_api.h", "#define CUDART_VERSION 12040\n")
    write(site / "nvidia/nccl/include/nccl.h")
    found = {item.directory.parent.name: item for item in find_package_headers({}, tmp_path)}
    assert set(found) == {"cu13", "cublas"}
    assert (found["cu13"].headers, found["cu13"].version) == (("cusparse.h",), "13.0")
    assert (found["cublas"].headers, found["cublas"].version) == (("cublas_v2.h",), "12.4")


@pytest.mark.parametrize("value", ["", ":", "/nowhere", "~/cuda", "'/usr/local/cuda'", "a\0b", "nvcc"])
def test_odd_values_of_cuda_home_find_nothing_and_raise_nothing(tmp_path: Path, value: str) -> None:
    assert find(tmp_path, CUDA_HOME=value) == []
    home = torch_cuda_home({"PATH": "", "CUDA_HOME": value}, tmp_path)
    assert home is None or not home.has_nvcc


def test_torchs_guess_believes_cuda_home_unseen(tmp_path: Path) -> None:
    toolkit(tmp_path / "usr/local/cuda")
    home = torch_cuda_home({"PATH": "", "CUDA_HOME": str(tmp_path / "usr/lcoal/cuda")}, tmp_path)
    assert home is not None
    assert (home.exists, home.has_nvcc, home.has_headers) == (False, False, False)
    assert home.meant == tmp_path / "usr/local/cuda"


def test_torchs_guess_without_variables(tmp_path: Path) -> None:
    toolkit(tmp_path / "usr/local/cuda")
    home = torch_cuda_home({"PATH": ""}, tmp_path)
    assert home is not None
    assert home.path == tmp_path / "usr/local/cuda"
    assert home.has_nvcc
    assert home.has_headers


def test_torch_itself_guesses_the_same(torch_itself: dict[str, Any], environments: list[dict[str, str]]) -> None:
    homes = [torch_cuda_home(env) for env in environments]
    assert torch_itself["homes"] == [str(home.path) if home else None for home in homes]


def test_the_nvcc_of_this_machine() -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on PATH")
    shown = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    first = find_toolkits(os.environ)[0]
    assert f"release {first.version}," in shown
    assert not first.nvcc.is_symlink()
    assert first.nvcc.read_bytes()[:4] == b"\x7fELF"
    assert (first.include[0] / "cuda_runtime.h").is_file()
