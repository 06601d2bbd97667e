"""action.yml, run as the shell that it is, and the issue forms."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from doctor.reading import CASES

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]


def _outputs(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if line)


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: values[found[1]], text)


def _run(command: str, tmp_path: Path) -> tuple[int, str]:
    """Runs the steps as a runner does: (exit status of the last step, job summary)."""
    known = {"inputs.run": command, "github.action_path": str(ROOT)}
    summary, outputs = tmp_path / "summary.md", tmp_path / "output"
    summary.touch()
    outputs.touch()
    own = {"RUNNER_TEMP": str(tmp_path), "GITHUB_STEP_SUMMARY": str(summary)}
    # the Python of the tests stands first, as setup-python puts its own
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, **own, "GITHUB_OUTPUT": str(outputs), "PATH": path}
    status = 0
    for step in STEPS:
        said = {f"steps.build.outputs.{key}": text for key, text in _outputs(outputs).items()}
        if step.get("if") and said["steps.build.outputs.status"] == "0":
            continue
        given = {name: _filled(text, {**known, **said}) for name, text in step["env"].items()}
        script = tmp_path / "step.sh"
        script.write_text(step["run"])
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        status = subprocess.run(shell, env={**environment, **given}, cwd=tmp_path, check=False).returncode
    return status, summary.read_text()


def test_a_failed_build_has_its_findings_in_the_summary(tmp_path: Path) -> None:
    log = CASES / "unsupported-gpu-arch" / "native.log"
    trap = tmp_path / "pwned"
    (tmp_path / "log").write_text(f"{log.read_text()}`touch {trap}`$(touch {trap})\n```\n")
    status, summary = _run("cat log; exit 7", tmp_path)
    assert status == 7
    assert "### What broke this build" in summary
    assert "CMAKE_CUDA_ARCHITECTURES" in summary
    body = summary.split("\n", 2)[2]
    assert all(line.startswith("    ") for line in body.splitlines() if line.strip())
    assert not trap.exists()


def test_a_build_that_succeeds_leaves_no_summary(tmp_path: Path) -> None:
    assert _run('echo "nvcc fatal : x"', tmp_path) == (0, "")


def test_nothing_from_outside_becomes_a_part_of_a_script() -> None:
    assert not [step["run"] for step in STEPS if "${{" in step["run"]]
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert all(re.search(r"@[0-9a-f]{40}$", name) for name in used)


def test_issue_forms_ask_for_the_report_that_can_be_posted() -> None:
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert forms
    for path in forms:
        form = yaml.safe_load(path.read_text("utf-8"))
        assert {"name", "description", "body"} <= set(form)
        ids = [item["id"] for item in form["body"] if item["type"] != "markdown"]
        assert len(ids) == len(set(ids))
        assert "dcnbuild doctor --share" in path.read_text("utf-8")
