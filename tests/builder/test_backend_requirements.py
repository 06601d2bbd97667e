"""Tests what the build backend asks a front end for, and what it says if it cannot build."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest
from builder.packages import run

from dcnbuild.base.own_requirements import BUILD
from dcnbuild.builder.failure import FINDINGS, read_findings

pytestmark = pytest.mark.slow

#: What the backend asks for beyond the static build requirements, from inside pip's isolation: an
#: interpreter whose sys.path has only what the front end put there, and whose prefix is the target.
#: Since pip 24.1, front ends look for every module in the checkout first, so that a directory named `packaging` there
#: would hide that package from setuptools.
ASK = """
import importlib.machinery

class InTree:
    def find_spec(name, path=None, target=None):
        return None if "." in name else importlib.machinery.PathFinder.find_spec(name, ["."])

sys.meta_path.insert(0, InTree)
from dcnbuild.builder import backend
print(backend.get_requires_for_build_wheel())
"""


def ask(python: Path, checkout: Path, tmp_path: Path) -> str:
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    for requirement in BUILD:  # what pip puts there
        files = importlib.metadata.files(requirement.project) or ()
        for name in {file.parts[0] for file in files if file.parts[0] != ".."}:
            place = importlib.metadata.distribution(requirement.project).locate_file(name)
            (overlay / name).symlink_to(str(place))
    hide = "sys.path[:] = [entry for entry in sys.path if 'site-packages' not in entry]"
    script = f"import sys; {hide}; sys.path.append({str(overlay)!r})\n{ASK}"
    return run([python, "-c", script], checkout).strip().splitlines()[-1]


def test_torch_of_the_environment_is_not_asked_for_again(environment: Path, checkout: Path, tmp_path: Path) -> None:
    assert ask(environment / "bin" / "python", checkout, tmp_path) == "[]"


def test_torch_is_asked_for_where_there_is_none(checkout: Path, tmp_path: Path) -> None:
    run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], tmp_path)
    assert ask(tmp_path / "env/bin/python", checkout, tmp_path) == "['torch>=2.10']"


def test_a_torch_that_is_too_old_is_not_replaced(checkout: Path, tmp_path: Path) -> None:
    run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], tmp_path)
    torch = tmp_path / f"env/lib/python3.{sys.version_info.minor}/site-packages/torch"
    torch.mkdir()
    (torch / "version.py").write_text("__version__ = '1.13.1+cu117'\ncuda = '11.7'\n")
    with pytest.raises(AssertionError, match="torch is too old") as caught:
        ask(tmp_path / "env/bin/python", checkout, tmp_path)
    assert "Traceback" not in str(caught.value)
    assert "1.13.1+cu117" in str(caught.value)
    assert [item["id"] for item in read_findings(checkout / FINDINGS)] == ["torch-too-old"]


def test_cuda_on_without_a_fitting_toolkit_ends_with_what_was_looked_for(checkout: Path, tmp_path: Path) -> None:
    """With a torch whose CUDA no toolkit has, for setuptools to build against."""
    torch = tmp_path / "torch"
    torch.mkdir()
    (torch / "version.py").write_text("__version__ = '2.14.1+cu99'\ncuda = '99.0'\n")
    script = f"from dcnbuild.builder import backend; backend.build_wheel({str(tmp_path)!r})"
    with pytest.raises(AssertionError, match=r"CUDA 99\.0") as caught:
        run([sys.executable, "-c", script], checkout, PYTHONPATH=str(tmp_path), DCNBUILD_CUDA="on")
    message = str(caught.value)
    assert "(found by" in message or "looked at CUDA_HOME, CUDA_PATH, PATH" in message
    assert "Traceback" not in message
    assert not list(tmp_path.glob("*.whl"))
    (finding,) = read_findings(checkout / FINDINGS)
    assert finding["severity"] == "error"
    assert f"{finding['title']}: {finding['cause']}" in message
