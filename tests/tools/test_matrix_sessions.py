"""Tests the sessions of the build matrix, run by nox on a list of their own, without downloads and compilers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT
from hang import HANG

from tools.build_matrix import results
from tools.build_matrix.pairs import load, select

pytest.importorskip("nox")
PAIRS = load(CHECKOUT / "matrix.yaml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout whose list can be changed, with what nox reads of this one."""
    for name in ("noxfile.py", "matrix.yaml"):
        shutil.copy(CHECKOUT / name, tmp_path)
    shutil.copytree(CHECKOUT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "dcnbuild").symlink_to(CHECKOUT / "dcnbuild")
    return tmp_path


def nox(project: Path, session: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("CI", "NOXENV")}
    return subprocess.run(
        [sys.executable, "-m", "nox", "-s", session, "--", *arguments],
        cwd=project,
        env={**clean, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""},
        capture_output=True,
        text=True,
        timeout=HANG,
    )


def test_listing(project: Path) -> None:
    done = nox(project, "build_matrix", "--list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [pair.id for pair in PAIRS]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("torch-2.0.1-cu117")]
    assert "Python 3.10" in line
    assert "CUDA 11.8, gcc 11" in line


def test_the_workflow_takes_its_jobs_from_the_same_list(project: Path) -> None:
    import yaml

    text = (CHECKOUT / ".github/workflows/build-matrix.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    script = " ".join(step.get("run", "") for step in jobs["rows"]["steps"])
    for session, arguments, job, pairs in (
        ("build_matrix", ("--tier", "full"), "build", select(PAIRS, tier="full")),
        ("wheel_matrix", (), "wheel_matrix", [pair for pair in PAIRS if pair.wheel]),
    ):
        assert f"nox -s {session} -- --github" in script
        (step,) = (step for step in jobs[job]["steps"] if f'nox -s {session} -- --pair "$PAIR"' in step.get("run", ""))
        assert step["env"] == {"PAIR": "${{ matrix.pair }}"}
        done = nox(project, session, "--github", *arguments)
        rows = json.loads(done.stdout.splitlines()[-1])["include"]
        assert [(row["pair"], row["python"]) for row in rows] == [(pair.id, pair.python) for pair in pairs]
        assert "fromJson" in jobs[job]["strategy"]["matrix"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--pair", "torch-9"), "no pair 'torch-9'; there are: torch-2.14.1-cu130"),
        (("--tier", "huge"), "invalid choice: 'huge'"),
        (("--wheel", "none.whl"), "no such file"),
    ],
)
def test_wrong_arguments(project: Path, arguments: tuple[str, ...], words: str) -> None:
    done = nox(project, "build_matrix", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.slow
def test_rows_that_cannot_be_tried_count_as_not_passed_and_stop_no_other(project: Path) -> None:
    """A row without its Python and a row that cannot install torch count as not passed; the others still run."""
    mine = f"3.{sys.version_info.minor}"
    few = {"tier": "ci", "download": 300}
    rows_of_three = [
        {"torch": "2.14.1", "python": "3.99", **few},
        {"torch": "2.13.0", "python": mine, **few},
        {"torch": "2.10.0", "cuda": "12.8", "toolkit": "12.4", "python": "3.12", "wheel": True}
        | {"tier": "full", "download": 3000},
    ]
    lines = "".join(f"- {json.dumps(row)}\n" for row in rows_of_three)
    (project / "matrix.yaml").write_text(f"pairs:\n{lines}")
    left = project / "out/matrix/torch-2.14.1-cpu/result.json"
    results.write(left, [results.new("torch-2.14.1-cpu", of_wheel=False)])
    done = nox(project, "build_matrix", "--json", "out.json")
    assert done.returncode == 1
    rows = results.read(project / "out.json")
    assert [row.id for row in rows] == ["torch-2.14.1-cpu", "torch-2.13.0-cpu"]
    assert {row.verdict for row in rows} == {"not tried"}
    assert "no environment with Python 3.99" in str(rows[0].reason)
    assert "0 of 2 rows passed" in done.stdout
    assert "--tier full adds 1 rows, about 3 GB of downloads" in done.stdout
    assert not list((project / ".nox").glob("matrix_row*/bin")), "an environment is left behind"
