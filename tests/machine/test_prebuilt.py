"""Tests of the wheels that are made for one torch, CUDA and Python."""

from __future__ import annotations

import pytest

from dcnbuild.machine import prebuilt

_GITHUB = "https://github.com"


@pytest.mark.parametrize(
    ("package", "torch", "cuda", "python", "ends"),
    [
        ("flash_attn", "2.6.0+cu124", "12.4", "3.12", "+cu12torch2.6cxx11abiFALSE-cp312-cp312-linux_x86_64.whl"),
        ("flash-attn", "2.6.0+cu126", "12.6", "3.12", "+cu12torch2.6cxx11abiTRUE-cp312-cp312-linux_x86_64.whl"),
        ("flash-attn", "2.8.0+cu128", "12.8", "3.11", "+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"),
        ("causal-conv1d", "2.5.1+cu121", "12.1", "3.10", "+cu12torch2.5cxx11abiFALSE-cp310-cp310-linux_x86_64.whl"),
        ("mamba-ssm", "2.5.1", "", "3.10", "+cu12torch2.5cxx11abiFALSE-cp310-cp310-linux_x86_64.whl"),
        ("natten", "2.6.0", "", "3.10", "+torch260cu124"),
    ],
)
def test_a_wheel_is_named_after_what_it_is_for(package: str, torch: str, cuda: str, python: str, ends: str) -> None:
    found = prebuilt.find(package, torch, cuda, python)
    assert found and found[0].endswith(ends)


def test_what_is_not_there_is_not_named() -> None:
    assert not prebuilt.find("flash-attn", "2.6.0+cu124", "12.4", "3.12", on="windows")
    assert not prebuilt.find("flash-attn", "2.6.0+cu124", "12.4", "3.12", on="aarch64")
    assert not prebuilt.find("flash-attn", "2.6.0+cu124", "12.4", "3.7")
    assert not prebuilt.find("flash-attn", "2.11.0+cu130", "13.0", "3.12")
    assert not prebuilt.find("somebodys-own", "2.6.0+cu124", "12.4", "3.12")
    assert not prebuilt.known("sglang-kernel", "2.9.0+cu130", "13.0", "3.12")  # whose release nobody has told


def test_a_release_that_is_there_is_kept() -> None:
    words = prebuilt.find("sgl_kernel", "2.9.0+cu130", "13.0", "3.12", had="0.3.21")
    assert words == ["sgl-kernel==0.3.21", "--index-url", "https://docs.sglang.ai/whl/cu130/"]


def test_tags_in_words() -> None:
    assert prebuilt.tags("2.7.1+cu128", "12.8", "3.12", True) == "cu128, torch2.7, cp312 and win_amd64"
    assert prebuilt.tags("", "", "", False) == "linux_x86_64"


def test_the_pages_are_those_of_projects() -> None:
    assert all(page.startswith("https://") for page in prebuilt.rows("pages").values())
    assert prebuilt.page("sageattention").startswith(_GITHUB)
    assert prebuilt.only_wheels("torchcodec") and not prebuilt.only_wheels("flash-attn")


@pytest.mark.parametrize(
    ("package", "torch", "python", "system", "address"),
    [
        ("torch-scatter", "2.5.1+cu124", "", "linux", "https://data.pyg.org/whl/torch-2.5.0+cu124.html"),
        ("torch-sparse", "2.1.0+cpu", "", "windows", "https://data.pyg.org/whl/torch-2.1.0+cpu.html"),
        ("dgl", "2.4.0+cu121", "", "linux", "https://data.dgl.ai/wheels/torch-2.4/cu121/repo.html"),
        ("dgl", "2.4.0+cu121", "", "windows", ""),  # no longer built
        ("dgl", "2.8.0+cu128", "", "linux", ""),  # newer than its last release
        ("gsplat", "2.4.1+cu124", "3.10", "linux", "https://docs.gsplat.studio/whl/pt24cu124"),
        ("gsplat", "2.4.1+cu124", "3.12", "linux", ""),
        ("torch-cluster", "2.4.1", "", "linux", ""),  # for which CUDA is not known
        ("numpy", "2.4.1+cu124", "", "linux", ""),
    ],
)
def test_the_page_is_that_of_the_torch(package: str, torch: str, python: str, system: str, address: str) -> None:
    assert "".join(prebuilt.find(package, torch, "", python, on=system)[2:3]) == address


def test_the_tag_of_torch_says_which_cuda_it_has() -> None:
    assert prebuilt.find("natten", "2.6.0+cu126", "", "3.10")[0].endswith("+torch260cu126")
    assert not prebuilt.find("flash-attn", "2.6.0+cpu", "", "3.12")
    assert not prebuilt.find("torch-scatter", "2.6.0+rocm6.1", "", "3.12")
    assert not prebuilt.find("torch-scatter", "2.6.0+cu124", "", "3.12", on="aarch64")


@pytest.mark.parametrize(
    ("package", "on", "words"),
    [
        ("xformers", "windows", "xformers==0.0.29.post3 --index-url https://download.pytorch.org/whl/cu124"),
        ("xformers", "mac", ""),
        ("vllm", "linux", "vllm==0.8.5.post1"),
        ("vllm", "windows", ""),
        ("torch-npu", "linux", "torch-npu==2.6.*"),
        ("mmcv==2.1.0", "linux", ""),  # newer than the last torch that mmcv has a wheel for
    ],
)
def test_releases_that_are_made_for_one_torch(package: str, on: str, words: str) -> None:
    assert " ".join(prebuilt.find(package, "2.6.0+cu124", "12.4", "3.10", on=on)) == words


def test_mmcv_has_no_wheel_for_a_new_python() -> None:
    assert prebuilt.find("mmcv", "2.1.2+cu121", "", "3.11")[0] == "mmcv==2.1.0"
    assert not prebuilt.find("mmcv", "2.1.2+cu121", "", "3.12")
