"""Packages to build: one with tiny sources, which takes a second, and one with the real ones."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from build_project import Project, copy_package

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
