"""Tests the messages of an install: missing requirements before it starts, and what it left out and why."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from dcnbuild.base import own_requirements
from dcnbuild.base.own_requirements import BUILD, RUN, unmet
from dcnbuild.builder import notes, routes
from dcnbuild.builder.cache import Entry
from dcnbuild.builder.record import BuildRecord, LibraryRecord
from dcnbuild.cli import build as command
from dcnbuild.cli import info

ROOT = Path(__file__).resolve().parents[2]


def test_a_build_without_isolation_names_all_that_is_missing_in_one_line(tmp_path: Path) -> None:
    """Runs Python with -S, which hides every package."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import dcnbuild.builder.backend"],
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "no setuptools, no ninja, no pyyaml" in done.stderr
    (line,) = (line for line in done.stderr.splitlines() if " -m pip install " in line)
    assert line.strip() == (f"{sys.executable} -m pip install 'setuptools>=77' 'ninja>=1.10' 'pyyaml>=6'")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("65.5.0", "setuptools 65.5.0"),
        ("76.1", "setuptools 76.1"),
        ("77", None),
        ("77.0.3.post1", None),
        ("80.9.0", None),
    ],
)
def test_what_is_too_old(monkeypatch: pytest.MonkeyPatch, version: str, said: str | None) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda project: version)
    assert unmet([own_requirements.SETUPTOOLS]).get(own_requirements.SETUPTOOLS) == said


def test_what_is_there_is_met() -> None:
    assert unmet(BUILD) == {}


def test_the_list_that_pip_reads_is_ours() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    declared = re.search(r"^requires = \[(.*?)\]", text, re.MULTILINE)
    assert declared
    assert re.findall(r'"(.*?)"', declared[1]) == [str(item) for item in BUILD]
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for line in workflow.read_text().splitlines():
            if "CIBW_BEFORE_BUILD" in line:
                assert all(f'"{item}"' in line for item in BUILD)


def test_every_action_of_a_workflow_is_named_by_its_commit() -> None:
    """A tag can be moved to other code; a commit cannot."""
    uses = [
        line.strip()
        for workflow in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in workflow.read_text().splitlines()
        if re.match(r"\s*(?:- )?uses:", line)
    ]
    assert uses
    named = re.compile(r"(?:- )?uses: [\w.-]+(?:/[\w.-]+)+@[0-9a-f]{40} # v\d[\d.]*")
    assert [line for line in uses if not named.fullmatch(line)] == []


def test_every_module_that_the_package_imports_is_required() -> None:
    """Every imported module is standard, required, part of an extra or of torch's wheels, or a counter that loads our hooks."""
    known = {item.module for item in RUN} | {"torch", "dcnbuild", "setuptools"}
    extras = {"matplotlib", "PIL", "numpy", "torchvision", "onnx", "onnxruntime", "openvino", "triton"}
    found = set()
    for path in (ROOT / "dcnbuild").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(str(node.module).partition(".")[0])
    counters = {path.stem for path in (ROOT / "dcnbuild/flops").glob("[a-z]*.py")}
    assert found - set(sys.stdlib_module_names) - known - extras - counters == set()
    assert {item.module for item in RUN} <= found


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation without CUDA kernels, on a machine with a GPU."""
    directory = tmp_path / "lib"
    directory.mkdir()
    library = LibraryRecord("hash", 1, "digest")
    record = BuildRecord("0.1.0", "stable", "2.14.1+cu130", "13.0", "gcc", {"cpu": library})
    BuildRecord(**{**vars(record), "cuda_left_out": "No nvcc: none was found."}).write(directory)
    monkeypatch.setattr(notes, "GPU_DEVICES", (str(tmp_path),))
    return directory


def test_where_there_is_a_gpu_it_is_said_once_why_cuda_was_left_out(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"DCNBUILD_CACHE": str(tmp_path / "cache")}
    with pytest.warns(RuntimeWarning, match=r"without its CUDA kernels: No nvcc: none was found"):
        notes.cuda_left_out(installed, env)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notes.cuda_left_out(installed, env)  # said
    other = {"DCNBUILD_CACHE": str(tmp_path / "other")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(notes, "GPU_DEVICES", (str(tmp_path / "none"),))
        notes.cuda_left_out(installed, other)  # no GPU
        notes.cuda_left_out(tmp_path, other)  # nothing installed


def test_nothing_is_said_to_who_has_asked_for_no_cuda(installed: Path, tmp_path: Path) -> None:
    text = (installed / "build.json").read_text()
    (installed / "build.json").write_text(text.replace("No nvcc", "DCNBUILD_CUDA=off"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notes.cuda_left_out(installed, {"DCNBUILD_CACHE": str(tmp_path / "cache")})


@pytest.mark.parametrize(("hip", "said"), [(None, "is built without CUDA"), ("6.4", "is built for ROCm")])
def test_info_says_why_there_is_nothing_for_cuda(monkeypatch: pytest.MonkeyPatch, hip: str | None, said: str) -> None:
    import torch

    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", hip)
    device = info._device(routes.DeviceStatus("cuda"))
    assert set(device["not_taken"]) == set(routes.ATTEMPTS)
    assert all(said in reason for reason in device["not_taken"].values())
    report = {"dcnbuild": "0", "torch": "2", "torch_cuda": None, "devices": [device], "fused": {"mode": "auto"}}
    text = "\n".join(info._lines({**report, "prebuilt": None}))
    assert "cuda: none. torch" in text
    assert "not loaded yet" not in text
    assert "DCNBUILD_ROUTE=reference" not in text


def test_info_tells_of_pips_cache_where_cuda_was_switched_off() -> None:
    prebuilt = {"torch": "2.14.1", "flavour": "stable", "compiler": "gcc", "libraries": {}}
    report = {"dcnbuild": "0", "torch": "2", "torch_cuda": "13.0", "devices": [], "fused": {"mode": "auto"}}
    off = {**prebuilt, "cuda_left_out": "CUDA is switched off: DCNBUILD_CUDA=off leaves them out."}
    assert "--no-cache-dir --force-reinstall" in "\n".join(info._lines({**report, "prebuilt": off}))
    missing = {**prebuilt, "cuda_left_out": "No CUDA toolkit: none."}
    assert "--no-cache-dir" not in "\n".join(info._lines({**report, "prebuilt": missing}))


def test_a_build_is_only_well_if_a_new_process_can_load_it(tmp_path: Path) -> None:
    entry = Entry(tmp_path, "cpu", LibraryRecord("hash", 1, "digest"))
    entry.path.write_bytes(b"\x7fELF of another machine")
    said = command.loads_in_a_child(entry)
    assert said is not None
    assert str(entry.path) in said
    assert "Traceback" not in said
