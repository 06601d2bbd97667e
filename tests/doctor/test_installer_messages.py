"""What installers, build backends and package managers say: each message has its finding, and the table is in order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dcnbuild import explain
from dcnbuild.doctor.fixes import effects
from dcnbuild.doctor.logs import RULES
from dcnbuild.knowledge import installer_messages

_TABLE = Path(__file__).with_name("installer_messages.txt").read_text(encoding="utf-8")
_MESSAGES = [part.partition("\n") for part in re.split(r"(?m)^=== ", _TABLE)[1:]]
_ROWS = dict(installer_messages.rows())
_FIELDS = {"means", "set", "value", "unset", "do", "act", "install", "upgrade", "package", "python", "setuptools"}
_FIELDS |= {"remove", "run", "then", "again", "other"}
_RULE = next(rule for rule in RULES if rule.id == "installer-message")


@pytest.mark.parametrize("message", _MESSAGES, ids=[f"{i}-{head}" for i, (head, _, _) in enumerate(_MESSAGES)])
def test_each_message_has_its_finding_and_fix(message: tuple[str, str, str]) -> None:
    wanted, _, word = message[0].partition(" | ")
    found = explain(message[2])
    assert (found[0].id, word in "\n".join(found[0].fix)) == (wanted, True), found


def test_every_row_has_a_message_that_shows_it() -> None:
    said = "\n".join(line.strip() for message in _MESSAGES for line in message[2].splitlines())
    shown = [pattern for pattern in _ROWS if re.search(pattern, said, re.M)]
    assert [pattern for pattern in _ROWS if pattern not in shown] == []


@pytest.mark.parametrize("pattern", _ROWS)
def test_a_row_is_in_order(pattern: str) -> None:
    row = _ROWS[pattern]
    assert set(row) <= _FIELDS
    assert not row["means"].endswith(".")
    named = {name for said in row.values() for name in re.findall(r"\{(\w+)\}", said)}
    assert named <= set(re.compile(pattern).groupindex)
    # a comment of a shell keeps no letters that a shell reads
    assert not re.search(r"[#'\"<>;|()\[\]%&`$!*?\\]", row.get("do", "") + row.get("other", ""))
    for command in (row[key] for key in ("run", "then") if key in row):
        assert effects.of_line(command) is not None
    assert "act" not in row or f"act ~ {row['act']}" in str(_RULE.steps)
