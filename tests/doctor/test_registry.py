"""Tests every check: it finds its example, and nothing on a healthy machine or without facts."""

from __future__ import annotations

import inspect
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from dcnbuild.doctor.checks import Check, all_checks, examine
from dcnbuild.doctor.examples import EXAMPLES, HEALTHY
from dcnbuild.errors import Finding
from dcnbuild.machine.facts import Facts, Machine, Python

CHECKS = all_checks()
#: Nothing but the interpreter that runs.
UNKNOWN = Facts(machine=Machine(), python=Python("3.11.9", Path("python"), Path("/usr"), Path("/usr")))
every_check = pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])


def example(check: Check) -> Finding:
    return check.findings(EXAMPLES[check.id])[0]


def test_every_check_has_an_example_and_every_example_a_check() -> None:
    assert set(EXAMPLES) == {check.id for check in CHECKS}


def test_a_machine_in_good_order_gets_nothing() -> None:
    assert examine(HEALTHY) == []


def test_where_nothing_is_known_only_what_is_absent_is_said() -> None:
    assert {finding.id for finding in examine(UNKNOWN)} == {"torch-missing", "compiler-missing"}


@every_check
def test_it_finds_its_example(check: Check) -> None:
    assert example(check).id == check.id


@every_check
def test_the_finding_says_all_it_has_to(check: Check) -> None:
    finding = example(check)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", finding.id)
    assert finding.severity in ("error", "warning", "note")
    assert finding.title == check.title
    assert not finding.title.endswith(".")
    assert finding.cause.endswith(".")
    assert "\n" not in finding.cause
    assert finding.evidence
    assert all(line.strip() for line in (*finding.evidence, *finding.fix))


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_every_fix_can_be_pasted(shell: str, tmp_path: Path) -> None:
    """The lines are what the shell can parse, whatever they do: each check's alone."""
    for one in CHECKS:
        (tmp_path / one.id).write_text("\n".join(example(one).fix), encoding="utf-8")
    each = f'for file in *; do {shell} -n "$file" || echo "$file"; done'
    done = subprocess.run([shell, "-c", each], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@every_check
def test_it_is_pure(check: Check) -> None:
    facts = EXAMPLES[check.id]
    assert check.findings(facts) == check.findings(replace(facts))


def test_examples_are_not_about_many_things_at_once() -> None:
    """An example that breaks more than it means to shows a check that is too eager."""
    for id, facts in EXAMPLES.items():
        found = [finding.id for finding in examine(facts)]
        assert id in found
        assert len(found) <= 3, f"{id}: {found}"


def test_errors_come_first() -> None:
    facts = replace(EXAMPLES["gpu-missing"], compilers=())
    assert [finding.severity for finding in examine(facts)] == ["error", "note", "note"]


def test_every_function_that_judges_is_a_check() -> None:
    """A row without a function is an error; a function without a row would never be asked."""
    modules = {inspect.getmodule(check.judge) for check in CHECKS}
    judges = {
        name
        for module in modules
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__annotations__.get("return") == "Iterator[Verdict]"
    }
    assert judges == {check.id.replace("-", "_") for check in CHECKS}
