"""Tests the build logs in tests/doctor/cases: the root cause is found first, however the log was altered.

A case is a log `cases/<symptom>/<name>.log`; `expected.yaml` beside it says which finding must come first (null for
none) and what its cause and its fix must mention.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
from doctor.reading import CASES, findings, first
from doctor.reading import expected as expected_in
from hypothesis import given, settings
from hypothesis import strategies as st

from dcnbuild.doctor.logs import RULES, read_log

LOGS = sorted(CASES.rglob("*.log"))
NAMES = [str(path.relative_to(CASES).with_suffix("")) for path in LOGS]


def expected(path: Path) -> dict[str, Any]:
    """What is expected of one log."""
    entry: dict[str, Any] = expected_in(path.parent)[path.stem]
    return entry


@pytest.mark.parametrize("path", LOGS, ids=NAMES)
def test_the_root_cause_comes_first(path: Path) -> None:
    wanted = expected(path)
    all_of_it = findings(path.read_bytes())
    if wanted["first"] is None:
        assert all_of_it == ()
        return
    assert all_of_it and all_of_it[0].id == wanted["first"]
    found = all_of_it[0]
    for words in wanted.get("cause", ()):
        assert words in found.cause
    for words in wanted.get("fix", ()):
        assert words in "\n".join(found.fix)
    assert found.evidence


def test_there_are_enough_cases() -> None:
    failing = [path for path in LOGS if expected(path)["first"] is not None]
    assert len(failing) >= 60
    assert len(LOGS) - len(failing) >= 10
    every = {name for path in CASES.iterdir() for name in expected_in(path)}
    assert every == {path.stem for path in LOGS}


def coloured(text: str) -> str:
    return "".join(f"\x1b[01;31m\x1b[K{line}\x1b[m\x1b[K\n" for line in text.splitlines())


def crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def timestamped(text: str) -> str:
    return "".join(f"2026-11-23T10:11:12.3456789Z {line}\n" for line in text.splitlines())


def compiled(lines: int) -> str:
    return "".join(f"[{i}/{lines}] c++ -O3 -fPIC -Iinclude -c src/part{i}.cpp -o part{i}.o\n" for i in range(lines))


#: Farther than anything is looked for around a line; and farther than a version is, for the other logs of a folder.
FAR, NEAR = compiled(4000), compiled(600)


def in_noise(text: str, noise: str = NEAR) -> str:
    return noise + text + "\n" + noise


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [coloured, crlf, timestamped, in_noise], ids=lambda wrap: wrap.__name__)
def test_the_state_of_the_log_does_not_matter(wrap: Any) -> None:
    changed = []
    for path in LOGS:
        text = path.read_text(errors="replace")
        far = wrap is in_noise and path == min(path.parent.glob("*.log"))
        if first(wrap(text, FAR) if far else wrap(text)) != expected(path)["first"]:
            changed.append(str(path.relative_to(CASES)))
    # A few shapes hang on their line breaks or their position; they may not be more than that.
    assert len(changed) <= len(LOGS) // 50, changed


@settings(max_examples=150)
@given(st.one_of(st.text(max_size=400), st.binary(max_size=400)))
def test_garbage_never_raises(log: str | bytes) -> None:
    read_log(log)


def test_pieces_of_real_logs_never_raise() -> None:
    rng = random.Random(0)
    for path in LOGS:
        data = path.read_bytes()
        start = rng.randrange(len(data) + 1)
        read_log(data[start:])
        read_log(data[:start])


def test_every_rule_answers_its_own_example() -> None:
    """By its own title, not by that of another rule of the same finding."""
    missed = []
    for rule in RULES:
        said = r"[^\n]*".join(map(re.escape, re.split(r"\[[^\]]*\]|\{[^}]*\}", rule.heading)))
        found = next(iter(read_log(rule.example)), None)
        if found is None or found.id != rule.id or not re.match(said, found.title):
            missed.append((rule.id, rule.heading, found and found.title))
    assert missed == []
