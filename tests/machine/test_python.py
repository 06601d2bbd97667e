"""The Python environment, and pip's constraints in every place where pip looks for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from machine.trees import script, write

from dcnbuild.machine.python import find_python, package_versions


def test_this_interpreter() -> None:
    python = find_python(os.environ)
    assert python.version == ".".join(map(str, sys.version_info[:3]))
    assert (python.prefix, python.base_prefix) == (Path(sys.prefix), Path(sys.base_prefix))
    shown = subprocess.run(
        [sys.executable, "-m", "pip", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert shown.startswith(f"pip {python.packages['pip']} ")


def test_package_versions(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for name in (
        "setuptools-69.5.1.dist-info",
        "numpy-2.0.0.dist-info",
        "torch-2.5.1.dist-info",
        "Odd.dist-info",
    ):
        (first / name).mkdir(parents=True)
    for name in ("setuptools-59.6.0.egg-info", "wheel-0.37.1.egg-info"):
        (second / name).mkdir(parents=True)
    assert package_versions((first, second)) == {
        "setuptools": "69.5.1",
        "numpy": "2.0.0",
        "wheel": "0.37.1",
    }


def test_ninja_on_path_or_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    script(tmp_path / "venv/bin/ninja")
    python = find_python({"PATH": "/nowhere"})
    assert (python.ninja, python.hidden_ninja) == (None, tmp_path / "venv/bin/ninja")
    python = find_python({"PATH": f"{tmp_path}/venv/bin"})
    assert (python.ninja, python.hidden_ninja) == (tmp_path / "venv/bin/ninja", None)


def test_the_active_environment(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(sys.prefix)
    assert find_python({"PATH": ""}).is_active is None
    assert find_python({"PATH": "", "VIRTUAL_ENV": str(tmp_path / "link")}).is_active is True
    assert find_python({"PATH": "", "VIRTUAL_ENV": str(tmp_path)}).is_active is False


CONSTRAINTS = "# ours\ntorch==2.5.1  # pinned\nrequests<3\nsetuptools<60\ntorchmetrics==1\n"


@pytest.mark.parametrize(
    "setting",
    [
        {"PIP_CONSTRAINT": "{file}"},
        {"PIP_CONSTRAINT": "/nowhere.txt file://{file}"},
        {"PIP_BUILD_CONSTRAINT": "{file}"},
        {"PIP_CONFIG_FILE": "{top}/pip.conf"},
        {"HOME": "{top}/dotfiles"},
        {"XDG_CONFIG_HOME": "{top}/config", "HOME": "{top}/empty"},
    ],
)
def test_constraints_wherever_pip_takes_them_from(tmp_path: Path, setting: dict[str, str]) -> None:
    file = write(tmp_path / "constraints.txt", CONSTRAINTS)
    text = f"[install]\nconstraint = {file}\n"
    for place in ("pip.conf", "dotfiles/.pip/pip.conf", "config/pip/pip.conf"):
        write(tmp_path / place, text)
    env = {name: value.format(file=file, top=tmp_path) for name, value in setting.items()}
    found = find_python({"PATH": "", **env}, tmp_path).constraints
    assert [requirement for _, requirement in found] == ["torch==2.5.1", "setuptools<60"]


def test_several_files_below_each_other(tmp_path: Path) -> None:
    one = write(tmp_path / "one.txt", "torch<3\n")
    two = write(tmp_path / "two.txt", "numpy<2\n")
    write(tmp_path / "etc/pip.conf", f"[global]\nindex-url = x\nconstraint =\n    {one}\n    {two}\n")
    found = find_python({"PATH": ""}, tmp_path).constraints
    assert [requirement for _, requirement in found] == ["torch<3", "numpy<2"]
    assert find_python({"PATH": "", "PIP_CONFIG_FILE": os.devnull}, tmp_path).constraints == ()
