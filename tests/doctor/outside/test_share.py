"""The share of right first findings: on the given cases, and on variants of the same kinds in other words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from doctor.outside import score

from dcnbuild import explain

VARIANTS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("variants.json").read_text(encoding="utf-8")
)


def test_at_least_95_of_100_given_cases_are_right() -> None:
    scores = [score.score(score.GIVEN, name) for name in score.names(score.GIVEN)]
    assert len(scores) >= 60
    wrong = [item for item in scores if not item.right]
    assert len(wrong) <= 0.05 * len(scores), wrong


def test_no_given_healthy_log_raises_an_alarm() -> None:
    scores = [score.score(score.GIVEN, name) for name in score.names(score.GIVEN) if "-ok-" in name]
    assert len(scores) == 6
    assert [item for item in scores if not item.right] == []


def test_the_command_prints_each_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert score.main([]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in score.names(score.GIVEN))
    assert re.search(r"\d+ of \d+ first findings are right \(\d+%\)", printed)


def test_a_wrong_finding_counts_as_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("a.cpp:1:1: error: 'AT_CHECK' was not declared in this scope\n")
    (tmp_path / "a.json").write_text(
        json.dumps({"cause": "x", "must_match": ["TORCH_CHECK", "sed"]})
    )
    assert score.score(tmp_path, "a").missing == ("sed",)
    assert score.main([str(tmp_path)]) == 1


@pytest.mark.parametrize("case", VARIANTS, ids=[case["name"] for case in VARIANTS])
def test_variants(case: dict[str, Any]) -> None:
    findings = explain(case["log"])
    if case.get("healthy"):
        assert findings == []
        return
    first = findings[0]
    text = "\n".join((first.id, first.title, first.cause, *first.fix))
    assert first.severity == "error"
    assert [pattern for pattern in case["must_match"] if not re.search(pattern, text)] == []
