"""A run of the build matrix as a program: arguments, resuming, failures. Nothing here downloads or compiles."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hang import HANG, wait_until

from build_matrix.processes import end_leftovers
from build_matrix.pythons import find_python
from build_matrix.results import Result, from_json, to_json, write
from build_matrix.settings import CHECKOUT, Settings
from dcnbuild import matrix
from dcnbuild.machine.locking import locked

MISSING_PYTHON = """\
  - id: {id}
    torch: "2.14.1"
    cuda: none
    python: "3.{minor}"
    index: cpu
    cxx: 17
    flavour: stable
    tier: ci
    download: 300
    source: a test
"""


def start(tmp_path: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """In a home of its own: no variable says where else the cache is."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XDG_", "DCNBUILD_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "build_matrix", *arguments],
        cwd=tmp_path,
        env={
            **clean,
            "HOME": str(tmp_path),
            "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{CHECKOUT / 'tests'}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "",
            **env,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(tmp_path: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    process = start(tmp_path, *arguments, **env)
    out, err = process.communicate(timeout=HANG)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_listing(tmp_path: Path) -> None:
    done = run(tmp_path, "--list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [p.id for p in matrix.pairs()]
    done = run(tmp_path, "--list", "--pair", "torch-2.0.1-cu117")
    assert "Python 3.10" in done.stdout
    assert "CUDA 11.8 " in done.stdout
    assert "gcc 11" in done.stdout


def test_a_matrix_for_github(tmp_path: Path) -> None:
    document = json.loads(run(tmp_path, "--github", "--tier", "full").stdout)
    rows = document["include"]
    wanted = [pair for pair in matrix.pairs() if pair.tier in ("ci", "full")]
    assert [(row["pair"], row["python"]) for row in rows] == [(p.id, p.python) for p in wanted]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--pair", "torch-9"), "no pair 'torch-9'; there are: torch-2.14.1-cu130"),
        (("--tier", "huge"), "invalid choice: 'huge'"),
        (("--jobs", "0"), "expected 1 or more"),
        (("--no-build",), "nothing to do without --wheel"),
        (("--wheel", "none.whl"), "no such file"),
        (("--matrix", "none.yaml"), "No such file"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_rows_that_cannot_be_tried_count_as_not_passed_and_stop_no_other(tmp_path: Path) -> None:
    """One whose torch pip cannot find, one without its Python."""
    mine = sys.version_info.minor
    text = MISSING_PYTHON.format(id="without-torch", minor=mine)
    text += MISSING_PYTHON.format(id="without-python", minor=missing_minor())
    (tmp_path / "list.yaml").write_text("pairs:\n" + text)
    before = sorted(path.name for path in CHECKOUT.iterdir())
    done = run(tmp_path, "--matrix", "list.yaml", "--json", "out.json")
    assert done.returncode == 1
    row, other = from_json((tmp_path / "out.json").read_text())
    assert row.verdict == other.verdict == "not tried"
    assert other.reason == f"no Python 3.{missing_minor()} on this machine"
    assert row.reason is not None
    assert row.reason.startswith(
        f"pip got no torch 2.14.1+cpu for Python 3.{mine} on the PyTorch wheel index"
    )
    assert "0 of 2 rows passed" in done.stdout
    assert "--tier full adds" in done.stdout
    work = tmp_path / ".cache/dcnbuild/matrix"
    assert not list((work / "rows").iterdir()), "a row's environment is left behind"
    assert sorted(path.name for path in CHECKOUT.iterdir()) == before


def missing_minor() -> int:
    """The minor version of a Python that this machine does not have: such a row is over at once."""
    for minor in (14, 13, 12, 10):
        if find_python(f"3.{minor}", os.environ) is None:
            return minor
    pytest.skip("this machine has every Python that torch 2.14 has wheels for")


def test_resuming_after_kill_9(tmp_path: Path) -> None:
    """Killed while a row is being made: what it left is cleared away, and rows that had passed are not run again."""
    first = MISSING_PYTHON.format(id="first", minor=sys.version_info.minor)
    second = MISSING_PYTHON.format(id="second", minor=missing_minor())
    (tmp_path / "list.yaml").write_text(f"pairs:\n{first}{second}")
    arguments = ("--matrix", "list.yaml", "--json", "out.json", "--resume")
    process = start(tmp_path, *arguments)
    work = tmp_path / ".cache/dcnbuild/matrix"
    begun = work / "rows/first/env"
    wait_until(lambda: begun.exists() or process.poll() is not None, "no row is begun")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (work / "rows/first").is_dir()
    # the first row had passed, in an earlier run with these very sources
    pair = matrix.load(tmp_path / "list.yaml")[0]
    fingerprint = Settings(work, {}).fingerprint(pair)
    passed = Result("first", "passed", date="2026-11-26", fingerprint=fingerprint)
    write(work / "results/first-build.json", to_json([passed]))
    done = run(tmp_path, *arguments)
    assert "first: has passed on 2026-11-26" in done.stderr
    assert done.returncode == 1
    found = from_json((tmp_path / "out.json").read_text())
    assert [row.verdict for row in found] == ["passed", "not tried"]
    assert not list((work / "rows").glob("*")), "what the killed run left is still there"
    assert end_leftovers(work) == 0, "a program of the killed run is still running"


def test_what_is_to_be_kept_outlives_other_runs(tmp_path: Path) -> None:
    first = MISSING_PYTHON.format(id="first", minor=missing_minor())
    second = MISSING_PYTHON.format(id="second", minor=missing_minor())
    (tmp_path / "list.yaml").write_text(f"pairs:\n{first}{second}")
    rows = tmp_path / ".cache/dcnbuild/matrix/rows"
    run(tmp_path, "--matrix", "list.yaml", "--pair", "first", "--keep")
    assert (rows / "first").is_dir()
    run(tmp_path, "--matrix", "list.yaml", "--pair", "second")
    assert [row.name for row in rows.iterdir()] == ["first"]
    run(tmp_path, "--matrix", "list.yaml", "--pair", "first")
    assert not list(rows.iterdir())


def test_a_result_of_other_sources_is_out_of_date(tmp_path: Path) -> None:
    text = MISSING_PYTHON.format(id="first", minor=missing_minor())
    (tmp_path / "list.yaml").write_text(f"pairs:\n{text}")
    stale = Result("first", "passed", date="2026-11-26", fingerprint="of other sources")
    write(tmp_path / ".cache/dcnbuild/matrix/results/first-build.json", to_json([stale]))
    done = run(tmp_path, "--matrix", "list.yaml", "--resume")
    assert done.returncode == 1
    assert "has passed on" not in done.stderr
    assert f"no Python 3.{missing_minor()} on this machine" in done.stdout


def test_two_runs_at_once_do_not_meet(tmp_path: Path) -> None:
    text = MISSING_PYTHON.format(id="a", minor=missing_minor())
    (tmp_path / "list.yaml").write_text(f"pairs:\n{text}")
    work = tmp_path / ".cache/dcnbuild/matrix"
    work.mkdir(parents=True)
    with locked(work / "lock"):
        done = run(tmp_path, "--matrix", "list.yaml")
    assert done.returncode == 2
    assert f"another run works in {work}" in done.stderr
