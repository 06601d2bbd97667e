"""Tests that docs/porting.md agrees with the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcnbuild.port.python.port import RULES as PYTHON_RULES
from dcnbuild.port.rules import LEFTOVERS, RULES
from tools.docs import port_to_stable as stable_document
from tools.docs import porting as document

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_page_in_the_repository_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    assert document.main(["--check"]) == 0
    assert stable_document.main(["--check"]) == 0


def test_every_rule_has_its_entry() -> None:
    page = document.page()
    for rule in (*RULES, *PYTHON_RULES):
        assert f'<h3 id="{rule.id}"' in page
        assert f"\n{rule.before}```" in page and f"\n{rule.after}```" in page
    for leftover in LEFTOVERS:
        assert f'<h3 id="{leftover.id}"' in page and leftover.advice in page
