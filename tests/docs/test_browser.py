"""The page "What broke my build?": its Python under node gives the findings of this Python."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from docs.blocks import CHECKOUT

from dcnbuild.base.plain_yaml import shipped
from tools.docs import browser, check_page, in_browser

CASES = CHECKOUT / "tests" / "doctor" / "cases"
GIVEN = CHECKOUT / "tests" / "doctor" / "outside" / "given"


def _logs() -> dict[str, str]:
    paths = [*sorted(CASES.glob("*/*.log")), *sorted(GIVEN.glob("*.log"))]
    return {str(path): path.read_bytes().decode("utf-8", "replace") for path in paths}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("site")
    shutil.copytree(CHECKOUT / "docs" / "browser", built / "browser")
    browser.bundle(built / "browser" / "doctor.zip")
    return built


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm, which brings Pyodide")
def test_every_case_has_the_same_findings_in_pyodide(site: Path) -> None:
    assert browser.pyodide(site / "browser") == ""
    logs = _logs()
    script = CHECKOUT / "tools" / "docs" / "check_browser.mjs"
    done = subprocess.run(
        ["node", str(script), str(site)],
        input=json.dumps(logs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers: dict[str, Any] = json.loads(done.stdout)
    torch = answers.pop("")
    assert torch == json.loads(in_browser.which_torch("RTX 5090", "570", "3.12", "latest"))
    assert torch["lines"][1].startswith("uv pip install torch==")
    for path, log in logs.items():
        assert answers[path] == json.loads(in_browser.findings(log)), path


def test_the_bundle_reads_a_log_by_itself(site: Path) -> None:
    """The bundle needs only the standard library and its own files."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import in_browser;print(in_browser.findings(sys.stdin.read()))"
    )
    unpacked = site / "unpacked"
    shutil.unpack_archive(site / "browser" / "doctor.zip", unpacked)
    log = "nvcc fatal   : Unsupported gpu architecture 'compute_37'"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(unpacked)],
        input=log,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == json.loads(in_browser.findings(log))


def test_every_table_of_the_bundle_is_the_one_of_the_package(site: Path) -> None:
    """The page loads some tables only when a log asks for them."""
    with zipfile.ZipFile(site / "browser" / "doctor.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".yaml")]
        reader: dict[str, Any] = {}
        exec(archive.read("yaml.py"), reader)
        for name in names:
            assert reader["load"](archive.read(name).decode()) == shipped(CHECKOUT / name), name
    assert "dcnbuild/port/conditions.yaml" in names


def test_the_page_names_what_its_script_asks_for() -> None:
    page = (CHECKOUT / "docs" / "what-broke.md").read_text("utf-8")
    script = (CHECKOUT / "docs" / "browser" / "page.mjs").read_text("utf-8")
    names = {text.split('"')[0] for text in script.split('at("')[1:]}
    assert {name for name in names if f'id="{name}"' not in page} == set()
    assert "never leaves your browser" in page
    assert "innerHTML" not in script


def test_a_wish_that_is_none_is_said() -> None:
    answer = json.loads(in_browser.which_torch("RTX 99999", "", "", ""))
    assert "RTX 99999" in answer["problem"]


def _seen() -> dict[str, Any]:
    """What Chromium sees of a page that works."""
    found = [
        {
            "title": "",
            "page": "../findings/#unsupported-gpu-arch",
            "fix": "export TORCH_CUDA_ARCH_LIST=x",
        }
    ]
    look = {"findings": found, "focus": "doctor-findings", "background": "white", "tooWide": False}
    return {
        "typed": look,
        "dark": {**look, "background": "black"},
        "phone": look,
        "linked": look,
        "link": "https://site/#log=x",
        "log": check_page.LOG,
        "tooLong": ["The log is too long for a link", ""],
    }  # fmt: skip


def test_a_page_that_works_has_no_fault() -> None:
    assert list(check_page.faults(_seen())) == []


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("typed", {"findings": []}),
        ("typed", {"focus": ""}),
        ("dark", {"background": "white"}),
        ("phone", {"tooWide": True}),
        ("linked", {"findings": []}),
    ],
)
def test_a_fault_of_the_page_is_named(part: str, changes: dict[str, Any]) -> None:
    seen = _seen()
    seen[part] = {**seen[part], **changes}
    assert list(check_page.faults(seen))
