"""Tests what pasting a fix changes: for lines, for rows with all their branches, for every example."""

from __future__ import annotations

import pytest

from dcnbuild.doctor.checks import Check, all_checks
from dcnbuild.doctor.examples import EXAMPLES
from dcnbuild.doctor.explain import explain
from dcnbuild.doctor.fixes import effects


@pytest.mark.parametrize(
    ("line", "effect"),
    [
        ("# in words", "reads"),
        ("nvidia-smi -L", "reads"),
        ("sed -n 1,9p a.cpp", "reads"),
        ("sed -i s/a/b/ a.cpp", "environment"),
        ("pip install 'numpy<2'", "environment"),
        ("export MAX_JOBS=1", "environment"),
        ("find /x -name lock -delete", "environment"),
        ("git config --global core.longpaths true", "system"),
        ("sudo ls", "root"),
        ("apt-get install g++", "root"),
        ("nvidia-smi -c 0", None),
        ("frobnicate --all", None),
    ],
)
def test_one_line(line: str, effect: str | None) -> None:
    assert effects.of_line(line) == effect


def test_the_worst_branch_counts_and_what_is_unknown_is_no_reading() -> None:
    steps = [["run", "ls"], {"conda": [["conda_install", "git"]], "else": [["package", "git"]]}]
    found = [effect for step in steps for effect in effects.of_step(step)]
    assert effects.worst(found) == "needs root"
    assert effects.worst(found[:1]) == "changes nothing"
    assert effects.worst([*effects.of_step(["run", "frobnicate"])]) == "changes the system"


@pytest.mark.parametrize("check", all_checks(), ids=[check.id for check in all_checks()])
def test_each_line_of_each_example_is_known(check: Check) -> None:
    lines = check.findings(EXAMPLES[check.id])[0].fix
    assert [line for line in lines if effects.of_line(line) is None] == []


def test_the_explanation_says_it() -> None:
    parts = explain("no-space")["parts"]
    assert [part["pasting"] for part in parts] == ["changes this environment, shell or project"]
    assert explain("cuda-mismatch")["parts"][1]["pasting"] == "needs root"
