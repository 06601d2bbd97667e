"""The parts of the build matrix on their own: processes, interpreters, counting, findings, records, pages."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hang import HANG, wait_until

from build_matrix import checks, pythons, report, results, wheel_check
from build_matrix.environment import Environment, Failed, pip_error
from build_matrix.processes import MARK, end_leftovers, run
from build_matrix.results import Build, Result
from build_matrix.settings import CHECKOUT, Settings
from dcnbuild import matrix
from dcnbuild.builder import native
from dcnbuild.builder.record import read_record
from dcnbuild.machine.toolkits import read_toolkit


def test_a_program_is_timed_logged_and_marked(tmp_path: Path) -> None:
    script = f"import os; print(os.environ[{MARK!r}]); sum(range(5_000_000)); raise SystemExit(3)"
    log = tmp_path / "x.log"
    outcome = run([sys.executable, "-c", script], tmp_path, os.environ, log, tmp_path / "row")
    assert outcome.status == 3
    assert outcome.cpu_seconds > 0.01
    assert outcome.text.endswith(f"\n{tmp_path / 'row'}\n")


def test_what_a_killed_run_left_running_is_ended(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", f"import time; time.sleep({2 * HANG})"]
    ours = subprocess.Popen(sleep, env={**os.environ, MARK: str(tmp_path / "rows/a")})
    other = subprocess.Popen(sleep, env={**os.environ, MARK: f"{tmp_path}2/rows/a"})
    try:
        # until it runs with its own environment
        wait_until(lambda: end_leftovers(tmp_path), "nothing is ended")
        assert ours.wait(timeout=HANG) == -9
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def test_interpreters(tmp_path: Path) -> None:
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = pythons.find_python(mine, os.environ)
    assert found is not None
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"Python {mine}.")
    assert pythons.find_python("3.99", os.environ) is None
    # a program of the right name that is another Python, as pyenv's shims can be
    (tmp_path / "python3.98").symlink_to(sys.executable)
    assert pythons.find_python("3.98", {"PATH": str(tmp_path)}) is None


@pytest.mark.parametrize(
    ("version", "compiler", "expected"),
    [("12.4", "12.2.0", "cuda-mismatch"), ("13.0", "99.1.0", "gcc-too-new"), ("13.0", "12.2.0", None)],
    ids=["toolkit", "compiler", "neither"],
)  # fmt: skip
def test_a_row_with_a_wrong_toolkit_or_compiler_fails_with_the_finding(
    tmp_path: Path, version: str, compiler: str, expected: str | None
) -> None:
    """Whatever else the machine has: a build would pass over what does not fit."""
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
    environment = Environment(
        matrix.pairs()[0], Settings(tmp_path, {}), tmp_path, lambda text: None
    )
    environment.toolkit = toolkit
    environment.facts = {"site": str(site)}
    paths = {"PATH": os.environ["PATH"], "CUDA_HOME": str(cuda), "CC": str(gxx), "CXX": str(gxx)}
    environment._env.update(paths)
    if expected is None:
        environment._ask_the_doctor()
        return
    with pytest.raises(Failed) as caught:
        environment._ask_the_doctor()
    assert caught.value.finding is not None
    assert caught.value.finding["id"] == expected


JUNIT = """<testsuites><testsuite>
<testcase name="test_a[cpu]"/>
<testcase name="test_a[cuda]"><skipped message="no GPU"/></testcase>
<testcase name="test_b[cpu-0-float32]"><failure message="x"/></testcase>
<testcase name="test_b[cuda-0-float32]"/>
<testcase name="test_c"><skipped message="torchvision is not installed"/></testcase>
<testcase name="test_d"><error message="x"/></testcase>
</testsuite></testsuites>"""


def test_counting_tests(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text(JUNIT)
    assert checks.count_tests(path) == {"cpu": (1, 2, 1), "cuda": (1, 0, 0)}
    assert checks.failed_tests(path) == ["test_b[cpu-0-float32]", "test_d"]


PIP = """\
  running build_native
  dcnbuild: building for torch 2.14.1+cu130 in /env/torch
  {}
  error: subprocess-exited-with-error
  ERROR: Failed building wheel for dcnbuild
"""


def test_the_finding_that_stopped_our_own_build() -> None:
    text = PIP.format(
        "dcnbuild: The CUDA toolkit is another major version than torch's: torch was built with CUDA 13.0.\n"
        "    torch 2.14.1+cu130\n    CUDA 12.4: /opt/cuda\n  to fix it:\n    apt-get install cuda"
    )
    finding = checks.finding_of(text)
    assert finding["id"] == "cuda-mismatch"
    assert finding["cause"] == "torch was built with CUDA 13.0."
    assert finding["evidence"] == ["torch 2.14.1+cu130", "CUDA 12.4: /opt/cuda"]
    assert finding["fix"] == ["apt-get install cuda"]


def test_the_finding_in_a_compilers_log(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text("/usr/include/x.h:1:10: fatal error: THC/THC.h: No such file or directory\n")
    text = PIP.format(
        f"dcnbuild: compiling the CPU kernels failed: fatal error: THC\n    full log: {log}"
    )
    assert checks.finding_of(text)["id"] == "thc-headers"
    log.unlink()
    found = checks.finding_of(text)
    assert (found["id"], found["cause"]) == ("build-failed", "fatal error: THC")
    assert checks.finding_of("")["id"] == "build-failed"


RESULT = Result(
    id="torch-2.14.1-cu130",
    verdict="passed",
    torch="2.14.1+cu130",
    torch_cuda="13.0",
    python="3.11.7",
    toolkit="CUDA 13.0 (/usr/local/cuda-13.0)",
    compiler="gcc 12.2.0 (/usr/bin/c++)",
    builds={
        "aot": Build("passed", 101.6, ("sm_75", "compute_90"), {"cpu": 10**6, "cuda": 2 * 10**6}, (300, 0, 2)),
        "jit": Build("passed", 60.0, ("compute_90",), {"cpu": 10**6}, (40, 0, 0), (40, 0, 0)),
        "wheel": Build("passed", 0.0, ("sm_70",), {"cpu": 10**6}, (300, 0, 0), None, "2026-11-25 23:00", "fedcba9876"),
    },
    date="2026-11-26 01:00",
    commit="0123456789",
)  # fmt: skip
FAILED = Result(
    id="torch-2.5.1-cu124",
    verdict="failed",
    reason="the build failed: a\nb",
    finding={"id": "gcc-too-new", "evidence": ["gcc 13"], "fix": ["export CXX=g++-12"]},
    builds={"aot": Build("failed")},
)
MISSING = Result(id="torch-2.12.1-cu132", reason="no Python 3.12 on this machine")


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [RESULT, FAILED, MISSING]
    assert results.from_json(results.to_json(rows)) == rows
    path = tmp_path / "new" / "one.json"
    assert results.stored(path) is None
    results.write(path, results.to_json([FAILED]))
    assert results.stored(path) == FAILED
    path.write_text("{")
    assert results.stored(path) is None
    with pytest.raises(ValueError, match="no report"):
        results.from_json("[]")


def test_no_path_of_a_machine_is_published() -> None:
    reason = (
        "the build failed: /home/me/x/csrc/a.h:3: error: no member 'b'; see https://x.example/y"
    )
    told = dataclasses.replace(
        FAILED, log="/home/me/x", reason=reason, toolkit="CUDA 12.4 (/home/me/c)"
    )
    published = results.without_places(told)
    assert published.toolkit == "CUDA 12.4"
    assert published.log is None
    assert "/home/me" not in results.to_json([published])
    assert published.reason is not None
    assert published.reason.startswith("the build failed: …/a.h:3: error: no member 'b'")


def test_why_pip_found_nothing() -> None:
    text = "Collecting torch\nERROR: Could not find a version\nERROR: No matching distribution\n"
    assert pip_error(text) == "No matching distribution"
    broken = (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<...\n"
    )
    assert pip_error(broken + text) == (
        "No matching distribution (an index could not be reached: NewConnectionError)"
    )
    assert pip_error("Killed\n\n") == "Killed"


def test_the_page() -> None:
    page = report.markdown([RESULT, MISSING, FAILED], matrix.pairs())
    lines = [line for line in page.splitlines() if line.startswith("| torch-")]
    assert lines == [
        "| torch-2.5.1-cu124 |  |  | failed | failed |  |  |  |  |  |  |  |",
        "| torch-2.12.1-cu132 |  |  | not tried | not tried |  |  |  |  |  |  |  |",
        "| torch-2.14.1-cu130 | 3.11.7 | 13.0, gcc 12.2.0 | passed | passed | 300 passed, 2 skipped | no GPU "
        "| sm_75 compute_90 | 102 | 3.0 | 2026-11-26 01:00 | 0123456789 |",
        "| torch-2.14.1-cu130 | 3.11.7 | passed | 300 passed | no GPU | sm_70 | 1.0 | 2026-11-25 23:00 | fedcba9876 |",
    ]
    assert "- **torch-2.5.1-cu124** (failed): the build failed: a b (finding: gcc-too-new)" in page
    assert "- **torch-2.12.1-cu132** (not tried): no Python 3.12 on this machine" in page


def test_the_page_in_the_repository_is_what_is_recorded() -> None:
    rows = results.from_json((CHECKOUT / "docs/matrix.json").read_text())
    assert (CHECKOUT / "docs/matrix.md").read_text() == report.markdown(rows, matrix.pairs())
    assert {row.id for row in rows} <= {pair.id for pair in matrix.pairs()}


def test_the_workflow_names_pairs_that_there_are() -> None:
    import yaml

    text = (CHECKOUT / ".github/workflows/build-matrix.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    assert any(
        "nox -s build_matrix -- --github" in step.get("run", "") for step in jobs["rows"]["steps"]
    )
    known = {(pair.id, pair.python) for pair in matrix.pairs()}
    named = {
        (row["pair"], row["python"])
        for row in jobs["wheel_matrix"]["strategy"]["matrix"]["include"]
    }
    assert named <= known
    # the pairs that `nox -s wheel_matrix` takes by itself
    assert all(f'"{name}"' in (CHECKOUT / "noxfile.py").read_text() for name, _ in named)


def test_rows_build_from_a_copy_without_what_was_built(tmp_path: Path) -> None:
    settings = Settings(tmp_path, {})
    settings.copy_sources()
    names = {str(path.relative_to(settings.sources)) for path in settings.sources.rglob("*")}
    assert {"csrc/schema.h", "dcnbuild/matrix.py", "tests/ops/cases.py", "pyproject.toml"} <= names
    assert not [name for name in names if name.endswith((".so", ".pyc"))]
    pair, other = matrix.pairs()[:2]
    assert settings.fingerprint(pair) == settings.fingerprint(pair) != settings.fingerprint(other)


def test_a_library_that_cannot_be_shipped(tmp_path: Path) -> None:
    source = tmp_path / "x.cpp"
    source.write_text(
        "namespace c10 { int answer(int); }\nextern "
        '"C" int PyLong_AsLong(void*);\n'
        "int f() { return c10::answer(PyLong_AsLong(0)); }\n"
    )
    for name in ("libtorch_cpu", "libcudart"):
        subprocess.run(
            ["c++", "-shared", "-o", tmp_path / f"{name}.so", "-x", "c++", "/dev/null"], check=True
        )
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


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_installed_library_can_be_shipped(device: str, request: pytest.FixtureRequest) -> None:
    record = read_record(native.PREBUILT)
    if record is None and request.config.getoption("--route") != "prebuilt":
        pytest.skip("the package that is tested has no prebuilt library")
    assert record is not None
    if record.flavour != "stable":
        pytest.skip(f"built in the {record.flavour} flavour, for one torch only")
    if device == "cuda" and record.cuda_left_out:
        pytest.skip(f"built without CUDA: {record.cuda_left_out}")
    assert wheel_check.problems(native.PREBUILT / f"dcnbuild_{device}.so") == []
