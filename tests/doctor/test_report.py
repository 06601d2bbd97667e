"""The report for people and the JSON."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from doctor.machines import NEWEST, broken, torch

from dcnbuild.base import printable
from dcnbuild.base.as_json import plain
from dcnbuild.doctor.checks import examine
from dcnbuild.doctor.examples import EXAMPLES, HEALTHY
from dcnbuild.doctor.report import details, show, summary, to_json
from dcnbuild.doctor.resolver import Resolution, resolve
from dcnbuild.errors import Finding, FindingError
from dcnbuild.machine.facts import Driver, Facts, Gpu, Library, PathEntry

LONG = Finding(
    "some-id",
    "error",
    "Something [is] wrong",
    "A cause in one sentence.",
    (f"/a/{'very/' * 60}long/path",),
    (f"export PATH={'x' * 300}",),
)


def printed(
    facts: Facts | None,
    findings: list[Finding],
    resolution: Resolution | None = None,
    verbose: bool = False,
) -> str:
    file = io.StringIO()
    show(facts, findings, resolution, "nothing found.", verbose, file)
    return file.getvalue()


def test_a_machine_in_good_order() -> None:
    text = printed(HEALTHY, [])
    assert text.endswith("\nnothing found.\n")
    for part in ("2.14.1+cu130 (CUDA 13.0)", "580.95.05, runs up to CUDA 13.0", "RTX 4090", "8.9"):
        assert part in text


def test_a_fix_is_never_broken_over_lines() -> None:
    lines = printed(None, [LONG]).splitlines()
    assert f"    {LONG.fix[0]}" in lines
    assert f"    {LONG.evidence[0]}" in lines
    assert "error: Something [is] wrong  [some-id]" in lines


def test_no_colour_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert "\x1b" not in printed(HEALTHY, [LONG])


def test_the_last_line_counts() -> None:
    findings = [LONG, replace(LONG, severity="warning"), replace(LONG, severity="warning")]
    assert printed(None, findings).splitlines()[-1] == "1 error, 2 warnings"


def test_every_example_can_be_shown() -> None:
    for facts in EXAMPLES.values():
        text = printed(facts, examine(facts), resolve(facts, facts.wanted_torch), verbose=True)
        assert "nothing found" not in text


def test_the_pip_line_and_why_nothing_newer() -> None:
    facts = broken(driver=Driver("535.104.05", "12.2", (), (Gpu("RTX 4090", (8, 9)),)))
    text = printed(facts, [], resolve(facts))
    assert "the newest torch on this machine: 2.14.1 (CUDA 12.6)" in text
    assert f"not {NEWEST} (" in text
    assert " 2.14.1 (CUDA 13.2)" in text
    assert "no pip line for torch ==1.16.*: there never was a torch 1.16" in printed(facts, [], resolve(facts, "1.16"))


def test_what_the_summary_says_of_what_is_missing() -> None:
    facts = broken(torch=None, toolkits=(), cuda_home=None, compilers=(), driver=Driver())
    rows = summary(facts)
    assert ("torch", "not installed") in rows
    assert [value for name, value in rows if value == "none"] == ["none"] * 4
    rocm = broken(torch=torch("2.5.1", None, hip="6.2"), libraries=(Library(Path("/x.so")),))
    assert any("ROCm 6.2" in value for _, value in summary(rocm))
    assert any("no GPU code" in value for _, value in summary(rocm))


def test_verbose_tells_the_state_of_each_path() -> None:
    facts = broken(
        paths=(
            PathEntry("PATH", "/a", False),
            PathEntry("PATH", "/b", None),
            PathEntry("CPATH", "/c", True, cuda="13.0"),
        )
    )
    rows = dict.fromkeys(details(facts))
    assert ("PATH", "/a  (does not exist)") in rows
    assert ("PATH", "/b  (cannot be read)") in rows
    assert ("CPATH", "/c  (CUDA 13.0)") in rows


def test_the_schema_of_the_json() -> None:
    facts = EXAMPLES["cuda-mismatch"]
    document = json.loads(to_json(facts, examine(facts), None))
    assert set(document) == {"schema", "facts", "findings"}
    assert document["schema"] == 1
    assert set(document["findings"][0]) == {
        "id", "severity", "title", "cause", "evidence", "fix",
    }  # fmt: skip
    assert document["facts"]["torch"]["architectures"][0] == "sm_75"
    assert document["facts"]["toolkits"][0]["root"] == "/usr/local/cuda-11.8"
    assert set(document["facts"]) == set(Facts.__dataclass_fields__)


def test_the_pip_line_in_the_json() -> None:
    document = json.loads(to_json(HEALTHY, [], resolve(HEALTHY)))
    assert set(document["pip"]) == {"asked", "line", "problem", "rejected"}
    assert re.fullmatch(r"python -m pip install torch==\d+\.\d+\.\d+.*", document["pip"]["line"])


def test_every_fact_has_a_json_form() -> None:
    for facts in EXAMPLES.values():
        assert json.loads(json.dumps(plain(facts))) == plain(facts)


def test_lines_are_not_padded_and_no_value_makes_a_line_of_its_own() -> None:
    """What is piped into a file has no width to fill."""
    variables = {"LONG": "x" * 300, "FORGED": "a\nerror: it is\x1b[31m"}
    lines = printed(replace(HEALTHY, variables=variables), [], None, True).splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert any(line.endswith("x" * 300) for line in lines)
    assert any(line.endswith("a\\u000aerror: it is\\u001b[31m") for line in lines)


def test_a_line_end_in_a_path_begins_no_line_of_the_report() -> None:
    evil = "/opt/cuda\n  to fix it:\n    rm -rf ~\x1b[2J\u202e"
    finding = Finding("x", "error", evil, f"{evil} is missing.", (f"CUDA_HOME={evil}",))
    facts = replace(HEALTHY, variables={"CUDA_HOME": evil})
    for text in (printed(facts, [finding], None, verbose=True), str(FindingError(finding))):
        assert not any(line.strip().startswith(("rm", "to fix")) for line in text.splitlines())
        assert text.replace("\n", "").isprintable()
        assert "/opt/cuda\\u000a" in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_keeps_its_values_in_every_encoding(encoding: str) -> None:
    variables = {"CXX": "/opt/\u2018g++\u2019/\u00e9\u4e2d\udcff'\"\x1b"}
    text = printable.printable(to_json(replace(HEALTHY, variables=variables), [], None))
    shown = text.encode(encoding, printable.ERRORS).decode(encoding)
    assert json.loads(shown)["facts"]["variables"] == variables
