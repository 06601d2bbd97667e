"""The release: its notes, and what can be said of workflows without running them on their machines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import CHECKOUT
from workflows import SCRIPTS, WORKFLOWS, jobs

from dcnbuild._version import __version__
from tools.release import ReleaseError, notes

CHANGELOG = "# Changelog\n\n## 1.2.0 (2026-12-01)\n\n- new\n\n## 1.1.0 (2026-11-01)\n\n- old\n"


def test_the_notes_are_the_section_of_the_tag() -> None:
    assert notes("v1.2.0", CHANGELOG, "1.2.0") == "- new"
    assert notes("v1.1.0", CHANGELOG, "1.1.0") == "- old"


@pytest.mark.parametrize(
    ("tag", "changelog", "version", "said"),
    [
        ("v1.2.1", CHANGELOG, "1.2.0", "the tag is v1.2.1, and the package is 1.2.0"),
        ("1.2.0", CHANGELOG, "1.2.0", "expected v1.2.0"),
        ("v1.3.0", CHANGELOG, "1.3.0", "no section 1.3.0"),
        ("v1.2.0", CHANGELOG.replace("- new", ""), "1.2.0", "is empty"),
        ("v1.2.0", CHANGELOG.replace("2026-12-01", "unreleased"), "1.2.0", "unreleased"),
    ],
)
def test_what_cannot_be_released(tag: str, changelog: str, version: str, said: str) -> None:
    with pytest.raises(ReleaseError, match=re.escape(said)):
        notes(tag, changelog, version)


#: A program that says what it was called with.
SPY = '#!/bin/sh\nprintf "%s" "$(basename "$0")" >> "$CALLS"\nprintf " [%s]" "$@" >> "$CALLS"\necho >> "$CALLS"\n'
#: What is in place of the programs that need a network, a container or an account.
REPLACED = ("apt-get", "gh", "nox", "pip", "pipx", "python3", "tail")


@pytest.mark.parametrize("where", SCRIPTS)
def test_every_step_runs_as_shell(where: str, tmp_path: Path) -> None:
    """Runs each step in a real shell, with stand-ins for the programs that it calls."""
    for name in REPLACED:
        write_program(tmp_path / "bin" / name)
    for name in ("pip", "python", "dcnbuild"):
        write_program(tmp_path / ".venv/bin" / name)
        write_program(tmp_path / "installed/bin" / name)
    for name in ("a-1.0-py3-none-any.whl", "a-1.0.tar.gz"):
        for folder in ("dist", "wheelhouse", "files/dist-x"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).touch()
    run_git(tmp_path)
    text = re.sub(r"\$\{\{.*?\}\}", "value", SCRIPTS[where])
    calls = tmp_path / "calls"
    env = {
        **os.environ,
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "CALLS": str(calls),
        "TAG": "v1; touch harm",
        "TIER": "ci",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_ENV": str(tmp_path / "env"),
        "GITHUB_REPOSITORY": "o/r",
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "harm").exists()
    assert calls.is_file() or (tmp_path / "env").is_file()
    said = calls.read_text() if calls.is_file() else (tmp_path / "env").read_text()
    assert "*" not in said, "a pattern matched nothing"
    if "$TAG" in SCRIPTS[where]:
        assert "[v1; touch harm]" in said


def write_program(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SPY)
    path.chmod(0o755)


def run_git(directory: Path) -> None:
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], cwd=directory, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "m"], cwd=directory, check=True)


def test_the_notes_step_as_it_is(tmp_path: Path) -> None:
    """Runs the notes step with the real program, on a changelog that has a date."""
    for name in ("tools/release.py", "dcnbuild/_version.py"):
        (tmp_path / name).parent.mkdir()
        shutil.copy2(CHECKOUT / name, tmp_path / name)
        (tmp_path / name).with_name("__init__.py").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(sys.executable)
    (script,) = [text for where, text in SCRIPTS.items() if where.startswith("release-notes-")]
    for date, status in (("unreleased", 1), ("2026-12-01", 0)):
        text = f"# Changelog\n\n## {__version__} ({date})\n\n- all of it\n"
        (tmp_path / "CHANGELOG.md").write_text(text)
        env = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PYTHONPATH": ""}
        env["TAG"] = f"v{__version__}"
        done = subprocess.run(["bash", "-ec", script], cwd=tmp_path, env=env, capture_output=True)
        assert done.returncode == status, done.stderr
    assert (tmp_path / "notes.md").read_text() == "- all of it\n"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_permissions_are_least(workflow: Path) -> None:
    """All jobs may only read; the one job with more permissions runs no code of the checkout."""
    document = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert document["permissions"] == {"contents": "read"}
    for job in document["jobs"].values():
        assert set(job.get("permissions", {})) <= {"id-token", "contents"}
        if "permissions" in job:
            assert not [step for step in job["steps"] if "checkout" in step.get("uses", "")]
    texts = [step.get("run", "") for job in document["jobs"].values() for step in job["steps"]]
    assert not [text for text in texts if "github." in text], "a run: takes text from outside by env"


def test_what_a_release_waits_for() -> None:
    release = jobs(CHECKOUT / ".github/workflows/release.yml")
    assert release["publish"]["permissions"] == {"id-token": "write"}
    assert set(release["publish"]["needs"]) == {"sdist", "wheels", "sbom"}
    assert release["release"]["needs"] == "publish"
    for name, job in release.items():
        for needed in [job.get("needs", [])] if isinstance(job.get("needs"), str) else job.get("needs", []):
            assert needed in release, name
