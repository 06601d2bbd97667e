"""What installers, build backends and package managers say: each message has its finding, and each row a message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dcnbuild import explain
from dcnbuild.doctor.logs.lookups.messages import TABLES

_TABLE = Path(__file__).with_name("installer_messages.txt").read_text(encoding="utf-8")
_MESSAGES = [part.partition("\n") for part in re.split(r"(?m)^=== ", _TABLE)[1:]]
_ROWS = TABLES.sections["installers"]


@pytest.mark.parametrize("message", _MESSAGES, ids=[f"{i}-{head}" for i, (head, _, _) in enumerate(_MESSAGES)])
def test_each_message_has_its_finding_and_fix(message: tuple[str, str, str]) -> None:
    wanted, _, word = message[0].partition(" | ")
    found = explain(message[2])
    assert (found[0].id, word in "\n".join(found[0].fix)) == (wanted, True), found


def test_every_row_has_a_message_that_shows_it() -> None:
    said = "\n".join(line.strip() for message in _MESSAGES for line in message[2].splitlines())
    shown = [pattern for pattern in _ROWS if re.search(pattern, said, re.M)]
    assert [pattern for pattern in _ROWS if pattern not in shown] == []
