"""What is installed, from where, by which program."""

from __future__ import annotations

import pytest
from doctor.machines import target

from dcnbuild.doctor import fixes
from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.doctor.fixes.fix import Target, render

TOOLKITS = {
    ("ubuntu 24.04", "12.4"): "sudo apt-get install cuda-toolkit-12-5",  # there is no 12.4 for it
    ("ubuntu 24.04", "12.1"): "sudo apt-get install cuda-toolkit-12-5",
    ("ubuntu 22.04", "12.1"): "sudo apt-get install cuda-toolkit-12-1",
    (
        "ubuntu 24.04",
        "11.3",
    ): "# Install CUDA 11.3 from https://developer.nvidia.com/cuda-11-3-0-download-archive",
    ("debian 12", "12.4"): "dcnbuild toolkit install 12.4",
    ("debian 13", "12.1"): "dcnbuild toolkit install 12.4",
    ("debian 13", "11.3"): "dcnbuild toolkit install 11.8",
    ("debian 12", "12.8"): "sudo apt-get install cuda-toolkit-12-8",
    ("ubuntu 24.04", "12.8"): "sudo apt-get install cuda-toolkit-12-8",
    (
        "ubuntu 26.04",
        "12.8",
    ): "# Install CUDA 12.8 from https://developer.nvidia.com/cuda-12-8-0-download-archive",
    ("arch", "13.0"): "dcnbuild toolkit install 13.0",
    (
        "arch",
        "12.4",
    ): "# Install CUDA 12.4 from https://developer.nvidia.com/cuda-12-4-0-download-archive",
    ("fedora 42", "13.2"): "dcnbuild toolkit install 13.2",
}


MANAGERS = {"ubuntu": "apt-get", "debian": "apt-get", "arch": "pacman", "fedora": "dnf"}


@pytest.mark.parametrize(("wanted", "line"), TOOLKITS.items(), ids=lambda item: str(item))
def test_a_toolkit_is_installed_from_where_there_is_one(wanted: tuple[str, str], line: str) -> None:
    distribution, version = wanted
    manager = MANAGERS[distribution.split()[0]]
    lines = fixes.install_toolkit(version).lines(Target(manager=manager, distribution=distribution))
    assert line in lines
    assert lines[-1].startswith("export CUDA_HOME=")


def test_where_the_distribution_is_not_known_both_ways_are_told() -> None:
    lines = fixes.install_toolkit("12.4").lines(Target(manager="apt-get"))
    assert lines == (
        "# Install from the package repository of NVIDIA:",
        "sh -c '. /etc/os-release; wget \"https://developer.download.nvidia.com/compute/cuda/repos/$ID$(echo $VERSION_ID | tr -d .)/x86_64/cuda-keyring_1.1-1_all.deb\"'",
        "sudo dpkg -i cuda-keyring_1.1-1_all.deb",
        "sudo apt-get update",
        "sudo apt-get install cuda-toolkit-12-4",
        "# On Debian, run this instead: dcnbuild toolkit install 12.4",
        "export CUDA_HOME=/usr/local/cuda-12.4",
    )


def test_conda_gets_condas_toolkit_and_gcc() -> None:
    conda = Target(conda=True, manager="apt-get")
    assert fixes.install_toolkit("12.4").lines(conda)[0] == ("conda install -c nvidia/label/cuda-12.4.0 cuda-toolkit")
    assert fixes.use_gcc(12).lines(conda) == (
        "conda install -c conda-forge gcc_linux-64=12 gxx_linux-64=12",
        'export CC="$CONDA_PREFIX/bin/x86_64-conda-linux-gnu-gcc"',
        'export CXX="$CONDA_PREFIX/bin/x86_64-conda-linux-gnu-g++"',
        'export NVCC_PREPEND_FLAGS="-ccbin=$CONDA_PREFIX/bin/x86_64-conda-linux-gnu-g++"',
    )
    arm = Target(conda=True, architecture="aarch64")
    assert fixes.use_gcc(12).lines(arm)[:2] == (
        "conda install -c conda-forge gcc_linux-aarch64=12 gxx_linux-aarch64=12",
        'export CC="$CONDA_PREFIX/bin/aarch64-conda-linux-gnu-gcc"',
    )
    assert fixes.conda_install("sysroot_linux-64>=2.28", "gxx_linux-64").lines(arm) == (
        "conda install -c conda-forge 'sysroot_linux-aarch64>=2.28' gxx_linux-aarch64",
    )


@pytest.mark.parametrize(
    ("manager", "distribution", "major", "first", "cxx"),
    [
        ("apt-get", "debian 12", 11, "sudo apt-get install g++-11", "/usr/bin/g++-11"),
        ("dnf", "fedora 42", 14, "sudo dnf install gcc14-c++", "/usr/bin/g++-14"),
        (
            "dnf",
            "rocky 9",
            12,
            "sudo dnf install gcc-toolset-12-gcc-c++",
            "/opt/rh/gcc-toolset-12/root/usr/bin/g++",
        ),
        ("zypper", "opensuse-tumbleweed", 13, "sudo zypper install gcc13-c++", "/usr/bin/g++-13"),
        ("pacman", "arch", 14, "sudo pacman -S gcc14", "/usr/bin/g++-14"),
        (
            "pacman",
            "arch",
            12,
            "# Install gcc12 from the AUR, with an AUR helper such as yay:",
            "/usr/bin/g++-12",
        ),
    ],
)
def test_gcc_by_distribution(manager: str, distribution: str, major: int, first: str, cxx: str) -> None:
    lines = fixes.use_gcc(major).lines(Target(manager=manager, distribution=distribution))
    assert (lines[0], lines[-1]) == (first, f"export NVCC_PREPEND_FLAGS=-ccbin={cxx}")


def test_windows_gets_no_line_of_bash() -> None:
    every = [
        fixes.set_env("A", "b c"), fixes.unset_env("A"), fixes.prepend("PATH", r"C:\x"), fixes.ask_gpus(),
        fixes.install_toolkit("12.4"), fixes.use_toolkit("12.4"), fixes.rebuild(), fixes.remove("x", recursive=True),
        fixes.make_directory("x"), fixes.set_env_from("A", "b"), fixes.command("reboot", root=True),
    ]  # fmt: skip
    for shell in ("cmd", "powershell"):
        text = "\n".join(render(every, target(shell)))
        for word in ("export", "sudo", "rm -", "/usr/", "$(", "mkdir -p"):
            assert word not in text


def test_this_machine_is_the_target() -> None:
    here = Target.of(HEALTHY)
    assert (here.shell, here.manager, here.distribution) == ("sh", "apt-get", "ubuntu 24.04")
    assert fixes.pip_install("ninja").lines(here) == ("python -m pip install ninja",)
    assert fixes.use_toolkit().lines(here)[0] == "export CUDA_HOME=/usr/local/cuda-13.0"
