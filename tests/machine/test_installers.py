"""Tests what installs in place of pip, and packages of the system by their names elsewhere."""

from __future__ import annotations

import pytest

from dcnbuild.machine.installers import MANAGERS, called, instead_of_pip

_URL = "https://download.pytorch.org/whl/cu128"


@pytest.mark.parametrize(
    ("manager", "words", "building", "told"),
    [
        ("uv", "install numpy<2 einops", False, ["uv add numpy<2 einops"]),
        ("uv", "install numpy<2", True, ["uv add --no-sync numpy<2"]),
        ("poetry", "install numpy<2 einops", False, ["poetry add numpy<2 einops@latest"]),
        ("pipenv", "install einops", True, ["pipenv install einops"]),
        ("pixi", "install einops", False, ["pixi add --pypi einops"]),
        (
            "poetry",
            f"install torch --index-url {_URL}",
            False,
            [
                f"poetry source add --priority explicit pytorch-cu128 {_URL}",
                "poetry add --source pytorch-cu128 torch@latest",
            ],
        ),
        ("uv", "install .", False, []),
        ("uv", "install -r requirements.txt ./ops", False, []),
        ("uv", "uninstall -y torch", False, []),
        ("uv", "install --upgrade pip", False, []),
        ("", "install einops", False, []),
    ],
)
def test_the_manager_of_a_project_is_told_what_pip_would_be(
    manager: str, words: str, building: bool, told: list[str]
) -> None:
    assert [" ".join(line) for line in instead_of_pip(manager, words.split(), building)] == told


@pytest.mark.parametrize("manager", MANAGERS)
def test_each_manager_installs_by_its_own_name(manager: str) -> None:
    (line,) = instead_of_pip(manager, ["install", "einops"], building=False)
    assert line[0] == manager


@pytest.mark.parametrize(
    ("package", "manager", "name"),
    [
        ("libgl1", "pacman", "libglvnd"),
        ("libcrypt-dev", "yum", "libxcrypt-devel"),
        ("git", "winget", "Git.Git"),
        ("x", "dnf", ""),
    ],
)
def test_a_package_has_the_name_of_its_manager(package: str, manager: str, name: str) -> None:
    assert called(package, manager) == name
