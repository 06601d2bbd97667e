"""Each fix is of commands that the place of its log has, and lasts there: every fault in every surrounding."""

from __future__ import annotations

import re

import pytest
from doctor.reading import findings
from doctor.surroundings import BUILDS, OF_LINUX, PLACES, RUNS, log, logs

FAULTS = [*BUILDS, *RUNS]
#: Commands of a package manager by the place that has it; nowhere else.
_MANAGERS = {
    "apt-get": {
        "venv",
        "conda",
        "uv",
        "uv pip",
        "poetry",
        "pdm",
        "image",
        "container",
        "colab",
        "github",
        "grace",
        "rocm",
    },
    "pacman": {"arch"},
    "yay": {"arch"},
    "dnf": {"fedora", "rocky"},
    "zypper": {"opensuse"},
    "nix-shell": {"nix"},
    "winget": {"cmd", "powershell", "git bash", "portable"},
}
_ROOT = ("image", "container", "colab")
_ROOTLESS = ("slurm", "not in sudoers")
_UNATTENDED = ("image", "container", "colab", "github", "slurm")


def typed(fault: str, where: str) -> list[str]:
    """The lines of the fix that do something."""
    return [line for line in findings(log(fault, where))[0].fix if not re.match(r"#|rem ", line)]


def programs(fault: str, where: str) -> list[str]:
    """The same without what a cell or a Dockerfile puts before a command, and without sudo."""
    return [re.sub(r"^(?:RUN |[!%])?(?:sudo )?", "", line) for line in typed(fault, where)]


faults = pytest.mark.parametrize("fault", FAULTS)


@faults
def test_the_cause_is_the_same_in_all_surroundings(fault: str) -> None:
    found = {where: findings(log(fault, where))[0].id for name, where in logs() if name == fault}
    elsewhere = {name for where, name in found.items() if where != "venv"}
    assert elsewhere <= {found["venv"]}


@pytest.mark.parametrize(("fault", "where"), logs())
def test_a_package_manager_is_that_of_the_place(fault: str, where: str) -> None:
    for line in programs(fault, where):
        used = [name for name in _MANAGERS if line.startswith(name)]
        assert all(where in _MANAGERS[name] for name in used), line


@pytest.mark.parametrize("where", _ROOT)
@faults
def test_root_calls_no_sudo(fault: str, where: str) -> None:
    assert not [line for line in typed(fault, where) if "sudo" in line]


@pytest.mark.parametrize("where", _ROOTLESS)
@faults
def test_who_never_becomes_root_is_told_nothing_that_takes_it(fault: str, where: str) -> None:
    asks = re.compile(r"\bsudo\b|apt-get|ubuntu-drivers|reboot|rmmod")
    assert not list(filter(asks.search, typed(fault, where)))


@pytest.mark.parametrize("where", _UNATTENDED)
@faults
def test_nobody_is_asked_where_nobody_answers(fault: str, where: str) -> None:
    asks = re.compile(r"\b(?:apt-get|dnf|zypper|conda) (?:install|create)(?! -y)")
    assert not list(filter(asks.search, typed(fault, where)))


@pytest.mark.parametrize("where", ["image", "container", "colab", "github"])
@faults
def test_the_lists_of_packages_are_fetched_where_none_are(fault: str, where: str) -> None:
    assert all("apt-get update &&" in line for line in typed(fault, where) if "apt-get install" in line)


@faults
def test_an_image_is_told_in_its_own_language(fault: str) -> None:
    assert all(re.match(r"(?:RUN|ENV|WORKDIR|SHELL|FROM|docker run) ?", line) for line in typed(fault, "image"))


@faults
def test_a_cell_has_no_shell_that_lasts(fault: str) -> None:
    lines = typed(fault, "colab")
    assert all(re.match(r"[!%]|import os", line) for line in lines)
    assert not [line for line in lines if re.match(r"!(?:export|cd|\.|source) ", line)]


@pytest.mark.parametrize("where", ["cmd", "powershell", "portable"])
@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in OF_LINUX])
def test_windows_is_told_no_command_of_unix(fault: str, where: str) -> None:
    unix = re.compile(r"(?:export|unset|printenv|rm|ls|sh|cp|ldd) ")
    assert not list(filter(unix.match, programs(fault, where)))


@faults
def test_git_bash_is_a_shell_of_unix_on_windows(fault: str) -> None:
    lines = findings(log(fault, "git bash"))[0].fix
    assert not [line for line in lines if re.match(r"rem |set \"?\w+=|\$env:|del |rmdir ", line)]
    assert not [line for line in lines if re.match(r"export PATH='?[A-Z]:", line)]


@pytest.mark.parametrize("where", ["uv", "poetry", "pdm"])
@faults
def test_what_is_installed_in_a_project_is_in_its_files(fault: str, where: str) -> None:
    lines = typed(fault, where)
    assert not [line for line in lines if re.match(r"(?:pip\d?|python\d?|mim) ", line)]
    behind = re.compile(r"(?:uv pip|poetry run pip|pdm run (?:python -m )?pip) install (?!.*--no-build-isolation)")
    assert not list(filter(behind.match, lines))


_TYPED = ("venv", "uv", "uv pip", "poetry", "pdm", "portable", "cmd", "slurm", "nix", "fedora")


@pytest.mark.parametrize(
    ("fault", "where"), [(fault, where) for fault, where in logs() if fault in BUILDS and where in _TYPED]
)
def test_what_has_failed_is_done_again_as_it_was(fault: str, where: str) -> None:
    if (fault, where) == ("header", "slurm"):  # in an environment with another Python, into which all goes anew
        assert "conda activate py3.11" in typed(fault, where)
        return
    assert PLACES[where].builds.replace("python.exe", "python") in typed(fault, where)


@faults
def test_a_portable_python_is_called_by_its_path(fault: str) -> None:
    assert not [line for line in typed(fault, "portable") if re.match(r"(?:pip|python|py)\b", line)]


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("uv", "uv add --index pytorch-cu128=https://download.pytorch.org/whl/cu128 'torch>=2.7'"),
        ("poetry", "poetry add --source pytorch-cu128 torch@latest"),
        ("pdm", "pdm add torch"),
        ("uv pip", "pip install torch torchvision torchaudio --index-url https://download.pytorch.org/whl/cu128"),
        ("portable", rf"{PLACES['portable'].site[:-18]}\python.exe -s -m pip install torch torchvision torchaudio"
         " --index-url https://download.pytorch.org/whl/cu128"),
        ("rocm", "pip install torch torchvision torchaudio --index-url https://download.pytorch.org/whl/rocm6.2"),
    ],
)  # fmt: skip
def test_torch_comes_as_the_place_installs(where: str, line: str) -> None:
    assert line in typed("cpu", where)


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("uv", "uv sync --inexact --reinstall-package flash-attn --no-binary-package flash-attn"
         " --no-build-isolation-package flash-attn"),
        ("pdm", "pdm update --no-isolation --unconstrained flash-attn"),
    ],
)  # fmt: skip
def test_a_package_is_built_anew_in_the_release_of_the_project(where: str, line: str) -> None:
    assert line in typed("old wheel", where)


@pytest.mark.parametrize(
    ("fault", "where", "line"),
    [
        ("crypt", "fedora", "sudo dnf install libxcrypt-devel"),
        ("crypt", "arch", "sudo pacman -S libxcrypt"),
        ("crypt", "opensuse", "sudo zypper install libxcrypt-devel"),
        ("crypt", "nix", "nix-shell -p libxcrypt"),
        ("crypt", "not in sudoers", "conda install -c conda-forge libxcrypt"),
        ("library", "rocky", "sudo dnf install mesa-libGL"),
        ("compiler", "not in sudoers", "conda create -c conda-forge -p ~/gcc-11 gcc_linux-64=11 gxx_linux-64=11"),
        ("compiler", "slurm", 'export CXX="$HOME/gcc-11/bin/x86_64-conda-linux-gnu-g++"'),
        ("toolkit", "not in sudoers", 'export CUDA_HOME="$HOME/cuda-12.8"'),
        (
            "toolkit",
            "nix",
            "export CUDA_HOME=\"$(nix-build '<nixpkgs>' -A cudaPackages_12_8.cudatoolkit --no-out-link)\"",
        ),
        ("driver", "arch", "sudo pacman -Syu nvidia-open"),
        ("driver", "fedora", "sudo dnf install akmod-nvidia"),
        ("no driver", "cmd", "set CUDA_VISIBLE_DEVICES"),
        ("no driver", "powershell", "$env:CUDA_VISIBLE_DEVICES"),
    ],
)
def test_the_right_words_for_the_place(fault: str, where: str, line: str) -> None:
    assert line in typed(fault, where)


@pytest.mark.parametrize("where", ["image", "container", "colab", "github", "slurm", "not in sudoers"])
def test_where_the_driver_is_another_s_torch_is_exchanged(where: str) -> None:
    assert any("cu118" in line for line in typed("driver", where))


def test_no_index_is_named_that_has_no_wheel_for_the_machine() -> None:
    assert not [line for fault in FAULTS for line in findings(log(fault, "grace"))[0].fix if "/cu118" in line]
    assert not [line for fault in RUNS for line in typed(fault, "rocm") if re.search(r"/cu\d", line)]


def test_an_alternative_of_which_all_is_said_is_not_told() -> None:
    for fault, where in logs():
        text = "\n".join(findings(log(fault, where))[0].fix)
        assert not re.search(r"(?m)^(?:#|rem) or\b[^\n]*:(?:\Z|\n(?:#|rem) or\b)", text), text
