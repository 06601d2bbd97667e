"""Tests judging the entries of PATH and similar variables one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
from machine.trees import cuda_h, toolkit, write

from dcnbuild.machine.near import meant_directory
from dcnbuild.machine.paths import find_path_entries


def test_the_typo_of_the_notes(tmp_path: Path) -> None:
    meant = write(tmp_path / "usr/local/cuda-10.1/lib64/libcudart.so").parent
    typo = f"{tmp_path}/usr/lcoal/cuda-10.1/lib64"
    (entry,) = find_path_entries({"LD_LIBRARY_PATH": f"{typo}:"})
    assert (entry.variable, entry.text, entry.exists) == ("LD_LIBRARY_PATH", typo, False)
    assert entry.meant == meant


@pytest.mark.parametrize(
    ("there", "written", "meant"),
    [
        ("usr/local/cuda-10.1/lib64", "usr/lcoal/cuda-10.1/lib64", True),
        ("usr/local/cuda-10.1/lib64", "usr/local/cuda10.1/lib64", True),
        ("usr/local/cuda-10.1/lib64", "usr/local/cuda-10.1/Lib64", True),
        ("usr/local/cuda/lib", "usr/local/cuda/lib64", True),
        ("usr/local/cuda-10.1/lib64", "usr/local/cuda-10.2/lib64", False),
        ("usr/local/cuda-10.1/lib64", "opt/rocm/lib64", False),
        ("usr/local/cuda-10.1/lib64", "usr/lcoal/cuda-10.1/include", False),
        ("opt/a", "opt/b", False),
    ],
)
def test_what_was_meant(tmp_path: Path, there: str, written: str, meant: bool) -> None:
    (tmp_path / there).mkdir(parents=True)
    found = meant_directory(str(tmp_path / written))
    assert found == (tmp_path / there if meant else None)


def test_quotes_and_home_directories_are_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cuda/lib64").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert meant_directory("~/cuda/lib64") == tmp_path / "cuda/lib64"
    assert meant_directory(f'"{tmp_path}/cuda/lib64"') == tmp_path / "cuda/lib64"
    assert meant_directory(f" {tmp_path}/cuda") == tmp_path / "cuda"


@pytest.mark.parametrize("text", ["", "relative/lib", "$CUDA_HOME/lib64", "a\0b", "/\0", "/", "~nobody/x"])
def test_nothing_is_meant_by_these(text: str) -> None:
    assert meant_directory(text) is None


def test_an_entry_that_is_a_file_is_no_directory(tmp_path: Path) -> None:
    write(tmp_path / "file")
    (entry,) = find_path_entries({"CPATH": str(tmp_path / "file")})
    assert entry.exists is False
    (entry,) = find_path_entries({"CPATH": str(tmp_path / "file/lib")})
    assert entry.exists is False


def test_the_toolkit_that_an_entry_belongs_to(tmp_path: Path) -> None:
    root = toolkit(tmp_path / "opt/nvidia", "12.4")
    runtime = tmp_path / "usr/local/cuda-11.2/lib64"
    write(runtime / "libcudart.so.11.2.152")
    (runtime / "libcudart.so.11.0").symlink_to("libcudart.so.11.2.152")
    write(runtime / "libnvJitLink.so.12")
    named = tmp_path / "usr/local/cuda-9.2/extras"
    named.mkdir(parents=True)
    headers = write(tmp_path / "headers/cuda.h", cuda_h("13.0")).parent
    plain = tmp_path / "usr/bin"
    plain.mkdir()
    env = {
        "PATH": f"{root}/bin:{plain}:{named}",
        "LD_LIBRARY_PATH": f"{runtime}:{root}/lib64",
        "CPATH": str(headers),
    }
    found = [(entry.cuda, entry.has_nvjitlink) for entry in find_path_entries(env)]
    assert found == [
        ("12.4", False),
        (None, False),
        ("9.2", False),
        ("11.2", True),
        ("12.4", False),
        ("13.0", False),
    ]


def test_headers_count_only_where_the_compiler_looks_for_them(tmp_path: Path) -> None:
    write(tmp_path / "cusparse.h")
    entries = find_path_entries({"CPATH": str(tmp_path), "PATH": str(tmp_path)})
    assert {entry.variable: entry.headers for entry in entries} == {
        "PATH": (),
        "CPATH": ("cusparse.h",),
    }


def test_variables_that_are_not_set_or_empty() -> None:
    assert find_path_entries({}) == []
    assert find_path_entries({"PATH": "", "LD_LIBRARY_PATH": "::"}) == []
