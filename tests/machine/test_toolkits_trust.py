"""Tests which files of other users a search for toolkits runs, lists and trusts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cpu_seconds import cpu_seconds
from machine.trees import cuda_h, find, script, toolkit, write

from dcnbuild.machine import files
from dcnbuild.machine.compilers import find_compilers
from dcnbuild.machine.toolkits import (
    distrusted,
    find_toolkits,
    real_nvcc,
    toolkit_cache,
    torch_cuda_home,
)

RUNS = "#!/bin/sh\n: > '{}'\necho 'Cuda compilation tools, release 99.0, V99.0.1'\n"


def planted(root: Path, ran: Path) -> Path:
    """Makes a toolkit whose version only its nvcc tells, and whose nvcc leaves a file when it runs."""
    nvcc = write(root / "bin/nvcc", RUNS.format(ran))
    nvcc.chmod(0o755)
    return root


@pytest.mark.parametrize("place", ["cache/toolkits/cuda-99.0", "usr/local/cuda-99.0", "opt/cuda"])
@pytest.mark.parametrize("open_to_all", [".", "bin", "bin/nvcc", "bin/helper", ".."])
def test_a_toolkit_that_others_can_write_is_neither_run_nor_listed(
    tmp_path: Path, place: str, open_to_all: str
) -> None:
    root = planted(tmp_path / place, tmp_path / "ran")
    write(root / "bin/helper", "")
    env = {"PATH": "", "DCNBUILD_CACHE": str(tmp_path / "cache")}
    assert [item.version for item in find_toolkits(env, tmp_path / "prefix", tmp_path)] == ["99.0"]
    (tmp_path / "ran").unlink()

    (root / open_to_all).chmod(0o777)
    assert find_toolkits(env, tmp_path / "prefix", tmp_path) == []
    assert not (tmp_path / "ran").exists()
    ((directory, reason),) = distrusted(env, tmp_path)
    assert directory == root
    assert "can be written by others (mode 0o777)" in reason


def test_a_toolkit_of_another_user_is_neither_run_nor_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = planted(tmp_path / "cache/toolkits/cuda-99.0", tmp_path / "ran")
    lstat = Path.lstat

    def of_another(path: Path) -> os.stat_result:
        values = list(lstat(path))
        values[4] = 1234 if path == root else values[4]
        return os.stat_result(values)

    monkeypatch.setattr(Path, "lstat", of_another)
    assert find(tmp_path, DCNBUILD_CACHE=str(tmp_path / "cache")) == []
    assert not (tmp_path / "ran").exists()


def test_a_named_toolkit_that_others_can_write_is_listed_by_its_files_and_not_run(
    tmp_path: Path,
) -> None:
    """The search reads the files of a toolkit that the user names, but runs no program that others can write."""
    root = planted(tmp_path / "home", tmp_path / "ran")
    root.chmod(0o777)
    assert find(tmp_path, CUDA_HOME=str(root)) == []
    write(root / "include/cuda.h", cuda_h("12.4"))
    write(root / "include/cuda_runtime.h")
    (found,) = find(tmp_path, CUDA_HOME=str(root))
    assert found.version == "12.4"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("path", ["", ".", "bin", "./bin", ":", "bin:"])
def test_no_tool_comes_from_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    for name in ("nvcc", "bin/nvcc", "c++", "bin/c++"):
        write(tmp_path / name, RUNS.format(tmp_path / "ran")).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert find(tmp_path, PATH=path) == []
    assert torch_cuda_home({"PATH": path}, tmp_path) is None
    assert find_compilers({"PATH": path, "CXX": "c++"}) == []
    assert files.run(["c++", "--version"], {"PATH": path}) is None
    assert not (tmp_path / "ran").exists()


def test_dcnbuild_cache_moves_toolkits_too(tmp_path: Path) -> None:
    variables = {"DCNBUILD_CACHE": "/d", "XDG_CACHE_HOME": "/x", "HOME": "/h"}
    assert toolkit_cache(variables) == Path("/d/toolkits")
    del variables["DCNBUILD_CACHE"]
    assert toolkit_cache(variables) == Path("/x/dcnbuild/toolkits")
    del variables["XDG_CACHE_HOME"]
    assert toolkit_cache(variables) == Path("/h/.cache/dcnbuild/toolkits")
    assert toolkit_cache({"PATH": "/bin"}) is None


@pytest.mark.parametrize("data", ["a" * 65000, "$(dirname" * 7000, "`dirname" * 8000, "/nvcc" * 13000])
def test_data_in_a_script_is_not_searched_for_long(data: str, tmp_path: Path, importing_torch: float) -> None:
    """A script that holds megabytes of data is searched in less CPU time than `import torch`; a quadratic search takes
    longer.
    """
    root = toolkit(tmp_path / "cuda-13.0", "13.0")
    script(tmp_path / "bin/nvcc", f'exec {root}/bin/nvcc "$@"\nexit\n{data}')
    nvcc = tmp_path / "bin/nvcc"
    assert cpu_seconds(lambda: real_nvcc(nvcc, {})) < importing_torch
    assert real_nvcc(nvcc, {}) == root / "bin/nvcc"
