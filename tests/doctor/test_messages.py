"""The tables of messages: each row is in order, each section has its source and a rule, and its literal parts are right."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from dcnbuild.base.needles import needles
from dcnbuild.doctor.fixes import effects
from dcnbuild.doctor.logs import rule_table
from dcnbuild.doctor.logs.lookups.messages import TABLES
from dcnbuild.doctor.logs.rule import LogRule
from dcnbuild.doctor.logs.rule_table import RULES, STEPS

_ROWS = [(section, message) for section, rows in TABLES.sections.items() for message in rows]
_FILES = sorted(Path(rule_table.__file__).with_name("messages").glob("*.yaml"))
_TOLD = str(STEPS["told"])
_RULES = [rule for rule in RULES if "section" in rule.let]


@pytest.mark.parametrize(("section", "message"), _ROWS)
def test_a_row_is_in_order(section: str, message: str) -> None:
    row = TABLES.sections[section][message]
    assert not row["means"].endswith(".")
    assert {field for field in row if f"{{{field}}}" not in _TOLD} <= {"means", "act", "repeat"}
    named = {name for said in row.values() for name in re.findall(r"\{(\w+)\}", said)}
    assert named <= set(re.compile(message).groupindex)
    # a comment of a shell keeps no letters that a shell reads
    if section == "installers":
        assert not re.search(r"[#'\"<>;|()\[\]%&`$!*?\\]", row.get("do", "") + row.get("other", ""))
    for command in (row[key] for key in ("run", "next") if key in row):
        assert effects.of_line(command) is not None
    steps = " ".join(str(rule.steps) for rule in RULES if section in rule.let.get("section", "").split())
    acts = re.findall(r"act ~ ([^'\":]+)", f"{STEPS['acted']}{STEPS['told']}{steps}")
    assert "act" not in row or any(re.search(act.partition(" and ")[0], row["act"]) for act in acts)


def test_a_section_has_a_rule_and_no_other_of_its_name() -> None:
    used = {section for rule in RULES for section in rule.let.get("section", "").split()}
    assert used == set(TABLES.sections)
    names = [name for file in _FILES for name in re.findall(r"(?m)^(\w+):", file.read_text(encoding="utf-8"))]
    assert len(names) == len(set(names))


def _by_root(row: dict[str, str], rule: LogRule) -> bool:
    branches = [step for step in (*STEPS["acted"], *STEPS["told"], *rule.steps) if isinstance(step, dict)]
    acts = [(re.search(r"act ~ (\S+)", key), steps) for step in branches for key, steps in step.items()]
    meant = [inner for act, steps in acts if act and re.search(act[1], row.get("act", "")) for inner in steps]
    asked = "debian" in row or row.get("run", "").startswith("sudo")
    return asked or any("root" in effects.of_step(step) for step in meant)


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule.id)
def test_a_rule_says_if_one_of_its_messages_needs_root(rule: LogRule) -> None:
    rows = [row for section in rule.let["section"].split() for row in TABLES.sections[section].values()]
    root = "root" in {effect for step in rule.steps for effect in effects.of_step(step)}
    assert root == any(_by_root(row, rule) for row in rows)


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_a_section_says_where_its_messages_are_from(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    parts = re.split(r"(?m)^(?=\w+:)", text)
    for above, section in pairwise(parts):
        comment = re.findall(r"(?m)^# .*$", above)
        known = "Source: " in section.partition("': {")[0] or any("Source: " in line for line in comment)
        assert known or comment[-1].startswith("# the same"), section[:40]


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("plain text", ("plain text",)),
        (r"a \(bracket\) \w+ more words", ("a (bracket) ",)),
        ("(?:one|two) and the rest", (" and the rest",)),
        ("first thing|(?P<name>second) [abc]{2}", ("first thing", "second")),
        ("colou?r of it", ("r of it",)),
        ("a line that was tried(?: again)?", ("a line that was tried",)),
        ("never (?!mind)this (?=one)", ("never ",)),
        (r"(?<=Error: )\x22quoted\x22 text", ("quoted",)),
        (r"[\]x] bracket[^]y]", (" bracket",)),
        ("(?i)any case: 404 of it", (": 404 ",)),
        ("(?i:any) case", (" case",)),
        ("x{0,3}y{2}zzz", ("zzz",)),
        ("(?:gone)?[a-z]*", ("",)),
    ],
)
def test_the_literal_parts_of_an_expression(expression: str, parts: tuple[str, ...]) -> None:
    assert needles(expression) == parts


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule.id)
def test_no_literal_part_is_in_most_lines(rule: LogRule) -> None:
    assert min((len(needle) for needle, _ in rule.patterns), default=9) >= 5
