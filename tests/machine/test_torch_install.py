"""Reading an installed torch from its files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from machine.trees import compile_library, torch_install, write

import dcnbuild
from dcnbuild.machine.site import site_packages
from dcnbuild.machine.torch_install import find_torch, find_torches, read_torch

#: How libc10.so exports torchCheckFail under either C++ ABI (seen in torch 2.14.1 and 2.5.1).
NEW_ABI = "_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
OLD_ABI = "_ZN3c106detail14torchCheckFailEPKcS2_jRKSs"


def test_the_installed_torch_is_read_as_torch_knows_itself(torch_itself: dict[str, Any]) -> None:
    torch = find_torch()
    assert torch is not None
    assert torch.version == torch_itself["version"]
    assert torch.cuda == torch_itself["cuda"]
    assert torch.cxx11_abi is torch_itself["cxx11_abi"]
    assert sorted(torch.architectures) == torch_itself["architectures"]
    assert torch.root.resolve() == Path(torch_itself["file"]).parent.resolve()


@pytest.mark.parametrize(
    ("version", "cuda"),
    [("2.14.1+cu130", "13.0"), ("1.13.1+cpu", None), ("2.6.0a0+git123", "12.4")],
)
def test_version_files_as_releases_write_them(tmp_path: Path, version: str, cuda: str | None) -> None:
    torch_install(tmp_path, version, cuda)
    torch = read_torch(tmp_path)
    assert torch is not None
    assert (torch.version, torch.cuda, torch.hip) == (version, cuda, None)
    assert (torch.cxx11_abi, torch.architectures, torch.installer) == (None, (), None)


def test_the_version_file_of_old_releases(tmp_path: Path) -> None:
    torch_install(tmp_path, "", None, "__version__ = '1.6.0'\ndebug = False\ncuda = '10.2'\n")
    torch = read_torch(tmp_path)
    assert torch is not None
    assert (torch.version, torch.cuda) == ("1.6.0", "10.2")


def test_a_rocm_build(tmp_path: Path) -> None:
    torch_install(tmp_path, "", None, "__version__ = '2.5.1'\ncuda = None\nhip: str = '6.2'\n")
    torch = read_torch(tmp_path)
    assert torch is not None
    assert (torch.cuda, torch.hip) == (None, "6.2")


@pytest.mark.parametrize("text", ["", "def", "__version__ = 3\n", "version = '2'", "\0\xff", "__version__ = x"])
def test_what_is_no_version_file(tmp_path: Path, text: str) -> None:
    write(tmp_path / "torch/version.py", text)
    assert read_torch(tmp_path) is None


@pytest.mark.parametrize(("symbol", "abi"), [(NEW_ABI, True), (OLD_ABI, False), ("other", None)])
def test_the_abi_is_read_from_libc10(tmp_path: Path, symbol: str, abi: bool | None) -> None:
    torch_install(tmp_path, "2.5.1", "12.4")
    compile_library(tmp_path / "torch/lib/libc10.so", f"int {symbol}(void) {{ return 0; }}")
    torch = read_torch(tmp_path)
    assert torch is not None
    assert torch.cxx11_abi is abi


def test_the_abi_of_old_releases_stands_in_a_cmake_file(tmp_path: Path) -> None:
    torch_install(tmp_path, "1.7.1", "11.0")
    write(
        tmp_path / "torch/share/cmake/Torch/TorchConfig.cmake",
        '  set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=0")\n',
    )
    torch = read_torch(tmp_path)
    assert torch is not None
    assert torch.cxx11_abi is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"),
        ("sm_37 sm_50 compute_50 sm_70", "sm_37 sm_50 compute_50 sm_70"),
        ("ipc_hsm_70 sm_75", "sm_70 sm_75"),  # 2.8.0: the linker laid other text right before it
        ("sm_90 sm_90a ", "sm_90 sm_90a"),
        ("no architecture", ""),
    ],
)
def test_the_architectures_stand_in_libtorch_python(tmp_path: Path, text: str, expected: str) -> None:
    torch_install(tmp_path, "2.8.0", "12.8")
    compile_library(
        tmp_path / "torch/lib/libtorch_python.so",
        f'const char* f(int i) {{ return i ? "x{text}" + 1 : "sm_99"; }}',
    )
    torch = read_torch(tmp_path)
    assert torch is not None
    assert set(torch.architectures) == (set(expected.split()) or {"sm_99"})


def test_what_the_installed_torch_accepts_in_an_arch_list(torch_itself: dict[str, Any]) -> None:
    """torch's own function, which raises for an unknown name, accepts the same names as ours."""
    torch = find_torch()
    assert torch is not None
    if not torch.cuda:
        pytest.skip("this torch has no CUDA")
    assert {"8.6", "9.0a", "Ampere"} <= set(torch.listable)
    assert torch_itself["refused"] == ["4.2", "Voodoo"]


def test_who_installed_it(tmp_path: Path) -> None:
    torch_install(tmp_path, "2.5.1+cu124", "12.4")
    write(tmp_path / "torch-2.5.1+cu124.dist-info/INSTALLER", "uv\n")
    torch = read_torch(tmp_path)
    assert torch is not None
    assert torch.installer == "uv"


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("https://conda.anaconda.org/pytorch/linux-64", "pytorch"),
        ("https://conda.anaconda.org/conda-forge/linux-64", "conda-forge"),
        ("pytorch", "pytorch"),
        (None, None),
    ],
)
def test_condas_records(tmp_path: Path, channel: str | None, expected: str | None) -> None:
    site = tmp_path / "lib/python3.10/site-packages"
    torch_install(site, "2.5.1", "12.4")
    write(tmp_path / "conda-meta/pytorch-2.5.1-py3.10_cuda12.4.json", json.dumps({"channel": channel}))
    write(tmp_path / "conda-meta/pytorch-cuda-12.4-hc786d27_7.json", '{"channel": "nvidia"}')
    torch = read_torch(site)
    assert torch is not None
    assert (torch.installer, torch.channel) == ("conda", expected)


def test_another_interpreters_environment(tmp_path: Path) -> None:
    torch_install(tmp_path / "lib/python3.99/site-packages", "2.0.1", "11.7")
    torch = find_torch(tmp_path)
    assert torch is not None
    assert torch.version == "2.0.1"


def test_system_site_packages_count_where_the_environment_sees_them(tmp_path: Path) -> None:
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    torch_install(tmp_path / f"base/lib/{python}/site-packages", "2.4.1", "12.1")
    for value, expected in (("true", 1), ("false", 0)):
        write(
            tmp_path / "venv/pyvenv.cfg",
            f"home = {tmp_path}/base/bin\ninclude-system-site-packages = {value}\n",
        )
        assert len(find_torches(tmp_path / "venv")) == expected


def test_the_users_torch_shadows_the_systems_but_not_a_venvs(tmp_path: Path) -> None:
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    torch_install(tmp_path / f"home/.local/lib/{python}/site-packages", "2.4.1", "12.1")
    torch_install(tmp_path / f"prefix/lib/{python}/site-packages", "2.5.1", "12.4")
    env = {"HOME": str(tmp_path / "home")}
    prefix = tmp_path / "prefix"
    assert [item.version for item in find_torches(prefix, env)] == ["2.4.1", "2.5.1"]
    assert [item.version for item in find_torches(prefix, env | {"PYTHONNOUSERSITE": "1"})] == ["2.5.1"]
    write(prefix / "pyvenv.cfg", "home = /usr/bin\n")
    assert [item.version for item in find_torches(prefix, env)] == ["2.5.1"]


def test_editable_installs_and_path_files(tmp_path: Path) -> None:
    site = tmp_path / "lib/python3.99/site-packages"
    torch_install(tmp_path / "checkout", "2.16.0a0", "13.0")
    write(
        site / "__editable___torch_2_16_0a0_finder.py",
        f"MAPPING = {{'torch': '{tmp_path}/checkout/torch'}}",
    )
    torch = find_torch(tmp_path)
    assert torch is not None
    assert torch.root == tmp_path / "checkout/torch"
    other = tmp_path / "other/lib/python3.99/site-packages"
    write(other / "somebody.pth", f"import os; os.x = 1\n# no\n{tmp_path}/checkout\n/nowhere\n")
    assert tmp_path / "checkout" in site_packages(tmp_path / "other")
    assert find_torch(tmp_path / "other") == torch


def test_build_isolation_is_seen_through(tmp_path: Path) -> None:
    """pip isolates a build with a sitecustomize that takes site-packages out of sys.path."""
    assert dcnbuild.__file__ is not None
    write(
        tmp_path / "sitecustomize.py",
        "import sys\nsys.path[:] = [path for path in sys.path if 'site-packages' not in path]\n",
    )
    (tmp_path / "dcnbuild").symlink_to(Path(dcnbuild.__file__).parent)
    program = (
        "import importlib.util\n"
        "assert importlib.util.find_spec('torch') is None\n"
        "from dcnbuild.machine.torch_install import find_torch\n"
        "print(find_torch().version)"
    )
    asked = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    torch = find_torch()
    assert torch is not None
    assert asked.stdout.strip() == torch.version
