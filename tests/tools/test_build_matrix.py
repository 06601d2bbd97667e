"""Tests the parts of the build matrix one by one: the doctor's judgement, counting, findings, records, pages."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import CHECKOUT

from dcnbuild.builder.failure import leave_findings
from dcnbuild.errors import Finding, FindingError
from dcnbuild.machine.toolkit_files import read_toolkit
from tools.build_matrix import report, results, row_tests, wheel_check
from tools.build_matrix.environment import Environment, Failed, Outcome, build_failed, pip_error
from tools.build_matrix.pairs import load
from tools.build_matrix.results import Build, Result
from tools.build_matrix.row import copy_sources

PAIRS = load(CHECKOUT / "matrix.yaml")


@pytest.mark.parametrize(
    ("version", "compiler", "expected"),
    [("12.4", "12.2.0", "cuda-mismatch"), ("13.0", "99.1.0", "gcc-too-new"), ("13.0", "12.2.0", None)],
    ids=["toolkit", "compiler", "neither"],
)  # fmt: skip
def test_a_row_with_a_wrong_toolkit_or_compiler_fails_with_the_finding(
    tmp_path: Path, version: str, compiler: str, expected: str | None
) -> None:
    """A row with a wrong toolkit or compiler fails with the finding, even if the machine also has the right ones."""
    cuda, site, gxx = tmp_path / "cuda", tmp_path / "site", tmp_path / "g++-99"
    contents = {
        cuda / "bin/nvcc": "",
        cuda / "bin/ptxas": "",
        cuda / "nvvm/bin/cicc": "",
        cuda / "version.json": json.dumps({"cuda": {"version": f"{version}.1"}}),
        cuda / "include/cuda_runtime.h": "",
        cuda / "include/crt/host_config.h": "",
        cuda / "lib64/libcudart_static.a": "",
        site / "torch/version.py": "__version__ = '2.14.1+cu130'\ncuda = '13.0'\n",
        gxx: f"#!/bin/sh\necho 'g++ (Test) {compiler}'\n",
    }
    for path, text in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    toolkit = read_toolkit(cuda / "bin/nvcc", os.environ)
    assert toolkit is not None
    environment = Environment(PAIRS[0], tmp_path, {})
    environment.toolkit = toolkit
    environment.site = site
    paths = {"PATH": os.environ["PATH"], "CUDA_HOME": str(cuda), "CC": str(gxx), "CXX": str(gxx)}
    environment._env.update(paths)
    if expected is None:
        environment._ask_the_doctor()
        return
    with pytest.raises(Failed) as caught:
        environment._ask_the_doctor()
    assert caught.value.finding is not None
    assert caught.value.finding["id"] == expected


ON_GPU = '<properties><property name="device" value="cuda"/></properties>'
JUNIT = f"""<testsuites><testsuite>
<testcase name="test_a[cpu]"/>
<testcase name="test_a[cuda]">{ON_GPU}<skipped message="no GPU"/></testcase>
<testcase name="test_b[cpu-0-float32]"><failure message="x"/></testcase>
<testcase name="test_b[cuda-0-float32]">{ON_GPU}</testcase>
<testcase name="test_c"><skipped message="torchvision is not installed"/></testcase>
<testcase name="test_d"><error message="x"/></testcase>
<testcase name="test_the_library[cuda]"/>
</testsuite></testsuites>"""


def test_counting_tests(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text(JUNIT)
    assert row_tests.count_tests(path) == {"cpu": (2, 2, 1), "cuda": (1, 0, 0)}
    assert row_tests.failed_tests(path) == ["test_b[cpu-0-float32]", "test_d"]


RESULT = Result(
    id="torch-2.14.1-cu130",
    builds={
        "aot": Build("passed", 101.6, ("sm_75", "compute_90"), {"cpu": 10**6, "cuda": 2 * 10**6}, (300, 0, 2)),
        "jit": Build("passed", 60.0, ("compute_90",), {"cpu": 10**6}, (40, 0, 0), (40, 0, 0)),
    },
    verdict="passed",
    python="3.11.7",
    toolkit="CUDA 13.0",
    compiler="gcc 12.2.0 (c++)",
    date="2026-11-26 01:00",
    commit="0123456789",
)  # fmt: skip
WHEEL = replace(
    RESULT,
    builds={"wheel": Build("passed", 0.0, ("sm_70",), {"cpu": 10**6}, (300, 0, 0))},
    date="2026-11-25 23:00",
    commit="fedcba9876",
)
FAILED = Result(
    id="torch-2.5.1-cu124",
    builds={"aot": Build("failed"), "jit": Build()},
    verdict="failed",
    reason="the build failed: a\nb",
    finding={"id": "gcc-too-new", "evidence": ["gcc 13"], "fix": ["export CXX=g++-12"]},
)
MISSING = replace(results.new("torch-2.12.1-cu132", of_wheel=False), reason="no Python 3.12")


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [RESULT, WHEEL, FAILED, MISSING]
    path = tmp_path / "new" / "one.json"
    results.write(path, rows)
    assert results.read(path) == rows
    assert [item.name for item in path.parent.iterdir()] == ["one.json"]
    path.write_text("[]")
    with pytest.raises(ValueError, match="no results"):
        results.read(path)


def test_what_is_recorded() -> None:
    """A failed row loses its recorded result; a row that was not tried, and the wheel's row, keep theirs."""
    again = replace(RESULT, commit="1111111111")
    assert results.merged([RESULT, WHEEL], [again]) == [again, WHEEL]
    assert results.merged([RESULT], [WHEEL, FAILED, MISSING]) == [RESULT, WHEEL]
    assert results.merged([RESULT, WHEEL], [replace(RESULT, verdict="failed")]) == [WHEEL]
    assert results.merged([RESULT], [replace(RESULT, verdict="not tried")]) == [RESULT]


def test_why_pip_found_nothing() -> None:
    text = "Collecting torch\nERROR: Could not find a version\nERROR: No matching distribution\n"
    assert pip_error(text) == "No matching distribution"
    broken = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<...\n"
    assert pip_error(broken + text) == ("No matching distribution (an index could not be reached: NewConnectionError)")
    assert pip_error("Killed\n\n") == "Killed"


def test_the_page() -> None:
    page = report.markdown([WHEEL, RESULT], PAIRS)
    lines = [line for line in page.splitlines() if line.startswith("| torch-")]
    assert lines == [
        "| torch-2.14.1-cu130 | 3.11.7 | 13.0, gcc 12.2.0 | passed | passed | 300 passed, 2 skipped | no GPU "
        "| sm_75 compute_90 | 102 | 3.0 | 2026-11-26 01:00 | 0123456789 |",
        "| torch-2.14.1-cu130 | 3.11.7 | passed | 300 passed | no GPU | sm_70 | 1.0 | 2026-11-25 23:00 | fedcba9876 |",
    ]
    (untried,) = [line for line in page.splitlines() if line.startswith("Not tried")]
    named = set(untried.rstrip(".").partition(": ")[2].split(", "))
    assert named == {pair.id for pair in PAIRS} - {RESULT.id}


def test_the_terminal_says_why_rows_did_not_pass_and_what_helps() -> None:
    lines = report.terminal([RESULT, FAILED, MISSING], "out/matrix").splitlines()
    assert len({len(line) for line in lines if line.startswith("|")}) == 1, "columns are not aligned"
    assert lines[-8:] == [
        "torch-2.5.1-cu124: failed: the build failed: a b",
        "  gcc 13",
        "  to fix it:",
        "    export CXX=g++-12",
        "  logs: out/matrix/torch-2.5.1-cu124",
        "torch-2.12.1-cu132: not tried: no Python 3.12",
        "  logs: out/matrix/torch-2.12.1-cu132",
        "1 of 3 rows passed",
    ]


def test_the_page_in_the_repository_is_what_is_recorded() -> None:
    rows = results.read(CHECKOUT / "docs/matrix.json")
    assert (CHECKOUT / "docs/matrix.md").read_text() == report.markdown(rows, PAIRS)
    assert {row.id for row in rows} <= {pair.id for pair in PAIRS}


def test_rows_build_from_a_copy_without_what_was_built(tmp_path: Path) -> None:
    copy = copy_sources(tmp_path / "copy")
    names = {str(path.relative_to(copy)) for path in copy.rglob("*")}
    assert {"csrc/schema.h", "dcnbuild/builder/backend.py", "pyproject.toml", "NOTICE"} <= names
    assert not [name for name in names if name.endswith((".so", ".pyc"))]


def test_the_findings_that_a_build_left_are_taken_before_its_log(tmp_path: Path) -> None:
    outcome = Outcome(1, 0.0, "/usr/include/x.h:1:10: fatal error: THC/THC.h: No such file or directory\n")
    left = tmp_path / "findings.json"
    failed = build_failed("the build failed", outcome, left)
    assert failed.finding is not None
    assert failed.finding["id"] == "thc-headers"
    finding = Finding("cuda-mismatch", "error", "A title", "a cause", ("torch 2.14.1",), ("a fix",))
    leave_findings(left, FindingError(finding))
    failed = build_failed("the build failed", outcome, tmp_path / "none.json", left)
    assert failed.finding == finding.to_json()
    assert str(failed) == "the build failed: A title: a cause"
    nothing = build_failed("the build failed", Outcome(1, 0.0, "Killed\n"))
    assert str(nothing).startswith("the build failed: ")


def test_a_library_that_cannot_be_shipped(tmp_path: Path) -> None:
    source = tmp_path / "x.cpp"
    source.write_text(
        "namespace c10 { int answer(int); }\nextern "
        '"C" int PyLong_AsLong(void*);\n'
        "int f() { return c10::answer(PyLong_AsLong(0)); }\n"
    )
    for name in ("libtorch_cpu", "libcudart"):
        subprocess.run(["c++", "-shared", "-o", tmp_path / f"{name}.so", "-x", "c++", "/dev/null"], check=True)
    library = tmp_path / "bad.so"
    command = ["c++", "-shared", "-fPIC", "-Wl,--no-as-needed", f"{source}", "-o", f"{library}"]
    command += [f"-L{tmp_path}", "-ltorch_cpu", "-lcudart", "-Wl,-rpath,/somewhere"]
    subprocess.run(command, check=True)
    found = wheel_check.problems(library)
    assert sorted(found) == [
        "bad.so has the run path /somewhere",
        "bad.so needs libcudart.so, which is not everywhere",
        "bad.so uses PyLong_AsLong, which ties it to Python",
        "bad.so uses _ZN3c106answerEi, which is not in torch's stable ABI",
    ]
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(library, "x/lib/bad.so")
    assert wheel_check.wheel_problems(wheel, ["bad.so"]) == found
    assert wheel_check.wheel_problems(wheel, ["good.so", "bad.so"]) == [
        *found,
        "the wheel holds bad.so, expected bad.so, good.so",
    ]
