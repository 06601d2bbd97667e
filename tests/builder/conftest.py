"""Packages to build: one with tiny sources, which takes a second, and one with the real ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from build_project import Project, copy_package
from builder.packages import run

ROOT = Path(__file__).resolve().parents[2]

TINY_CPU = """
#include "answer.h"
extern "C" __attribute__((visibility("default"))) int answer() { return ANSWER; }
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Project:
    """A package whose CPU library holds one function, `answer`, that returns 42."""
    project = copy_package(tmp_path)
    (project.csrc / "cpu").mkdir(parents=True)
    (project.csrc / "schema.h").write_text("// no operators\n")
    (project.csrc / "answer.h").write_text("#define ANSWER 42\n")
    (project.csrc / "cpu" / "answer.cpp").write_text(TINY_CPU)
    # something to link with; the library needs nothing of it
    (project.torch / "lib").mkdir(parents=True)
    stub = project.torch / "lib" / "libtorch_cpu.so"
    subprocess.run(["c++", "-shared", "-o", stub, "-x", "c++", "/dev/null"], check=True)
    return project


@pytest.fixture
def without_libraries(tmp_path: Path) -> Project:
    """The whole package with its real sources, and no library."""
    from dcnbuild.builder.sources import csrc_dir

    project = copy_package(tmp_path)
    shutil.copytree(csrc_dir(), project.csrc)
    return project


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout as git would give it, with what builds leave behind in a used one."""
    copy = tmp_path_factory.mktemp("checkout") / "dcnbuild"
    ignored = shutil.ignore_patterns(
        ".git",
        ".nox",
        ".venv",
        "build",
        "out",
        "lib",
        "*.egg-info",
        "__pycache__",
        ".*_cache",
        ".hypothesis",
    )
    shutil.copytree(ROOT, copy, ignore=lambda path, names: _not_tests(path, ignored(path, names)))
    for stale in (
        "dcnbuild/lib",
        f"build/lib.{sys.platform}/dcnbuild/lib",
        "build/lib/dcnbuild/lib",
    ):
        (copy / stale).mkdir(parents=True)
        (copy / stale / "dcnbuild_cuda.so").write_text("of an earlier build")
    return copy


def _not_tests(path: str, names: set[str]) -> set[str]:
    """tests/build is no build directory."""
    return names - {"build"} if Path(path).name == "tests" else names


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment that sees this one's packages through a path file, as nox makes it."""
    run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], tmp_path)
    site = tmp_path / f"env/lib/python3.{sys.version_info.minor}/site-packages"
    import torch

    paths = {
        str(Path(torch.__file__).parents[1]),
        *(path for path in sys.path if "site-packages" in path),
    }
    (site / "others.pth").write_text("\n".join(sorted(paths)) + "\n")
    return tmp_path / "env"
