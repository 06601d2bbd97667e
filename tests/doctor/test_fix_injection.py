"""Tests that the fixes for a log never run text from the log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcnbuild.doctor.logs import RULES, LogRule, read_log
from dcnbuild.doctor.parse import Log, Reading

#: What would run, were it not quoted.
_MARK = "pwned"
_PAYLOADS = (
    f"/x;touch${{IFS}}{_MARK};/y",
    f"a$({_MARK})`{_MARK}`b",
    f"x'|{_MARK}&&'\"{_MARK}\"",
    f"--{_MARK}=$(id)",
)


def _runs_something(line: str) -> bool:
    """Whether the mark stands anywhere but in single quotes or a comment, by the rules of POSIX shells."""
    state, kept = "", []
    position = 0
    while position < len(line):
        letter = line[position]
        if state == "'":
            state = "" if letter == "'" else state
        elif letter == "\\":
            position += 1
        elif state == '"':
            state = "" if letter == '"' else state
            kept.append(letter)
        elif letter in "'\"":
            state = letter
        elif letter == "#" and (position == 0 or line[position - 1].isspace()):
            break
        else:
            kept.append(letter)
        position += 1
    return _MARK in "".join(kept) or state != ""


def _poisoned(text: str, payload: str) -> Iterator[str]:
    """The text once for each entity of each record in it, with the payload in place of the entity."""
    log = Log(text)
    reading = Reading(log, text.__contains__)
    for number in range(len(log)):
        line = log.english(number)
        matches = [record.match for record in reading.records(line)]
        matches += [
            match
            for rule in RULES
            for needle, pattern in rule.patterns
            if needle in line and (match := re.search(pattern, line))
        ]
        for start, end in {match.span(name) for match in matches for name in match.re.groupindex}:
            if start >= 0:
                lines = [*log.lines]
                lines[number] = line[:start] + payload + line[end:]
                yield "\n".join(lines)


@pytest.mark.parametrize("rule", RULES, ids=[f"{i}-{rule.id}" for i, rule in enumerate(RULES)])
def test_no_captured_text_becomes_a_command(rule: LogRule) -> None:
    for text in (text for payload in _PAYLOADS for text in _poisoned(rule.example, payload)):
        for finding in read_log(text):
            assert [line for line in finding.fix if _runs_something(line)] == []


@pytest.mark.parametrize(
    "text",
    [
        "error: could not create '/tmp/;touch${IFS}pwned_fix;/x.so': Permission denied",
        'Waited on lock file "/home/u/;touch${IFS}pwned_fix4" for 30 s',
        "ImportError: /home/u/$(pwned)/_C.so: file too short",
        "PermissionError: [Errno 13] Permission denied: '/tmp/`pwned`/x'",
        "Processing /home/u/$(pwned)\na.cpp:1:1: error: ‘AT_CHECK’ was not declared in this scope",
    ],
)
def test_names_of_files_stay_names(text: str) -> None:
    findings = read_log(text)
    assert findings and findings[0].fix
    assert [line for finding in findings for line in finding.fix if _runs_something(line)] == []


def test_the_reader_of_lines_would_see_it() -> None:
    assert _runs_something("ls -ld /tmp/;touch${IFS}pwned;")
    assert _runs_something('export A="$(pwned)"')
    assert _runs_something("rm `pwned`")
    assert not _runs_something("rm '/tmp/;touch${IFS}pwned;/x'")
    assert not _runs_something("# By hand: remove _tmp_pwned")


def test_evidence_and_causes_hold_no_control_characters() -> None:
    text = "a.cpp:1:1: error: ‘AT_\x9bCHECK\u202e’ \x1b[31mwas not\x07 declared\u2028 in this scope\n"
    for finding in read_log(text + "nvcc fatal   : Unknown\u202e option '-\x9bx'\n"):
        shown = (finding.title, finding.cause, *finding.evidence, *finding.fix)
        assert not any(re.search(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e]", line) for line in shown)


def test_rules_make_no_fix_of_text() -> None:
    """A fix is a call of the vocabulary: nothing that a rule asks formats a command line itself."""
    folder = Path(__file__).parents[2] / "dcnbuild/doctor/logs"
    paths = [folder / "project.py", folder / "rule_table.py", *folder.glob("*_verbs.py"), *folder.glob("lookups/*.py")]
    assert len(paths) > 10
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"yield f?[\"']|\.format\(", line), f"{path.name}: {line}"
