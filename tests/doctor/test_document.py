"""Tests that docs/findings.md agrees with the checks and log rules."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from dcnbuild.doctor.checks import all_checks
from dcnbuild.doctor.logs import RULES
from tools.docs import findings as document
from tools.docs.subjects import SECTIONS

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_page_in_the_repository_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    assert document.main(["--check"]) == 0


def test_every_id_has_its_example() -> None:
    page = document.page()
    for check in all_checks():
        assert check.title in heading(page, check.id)
    for rule in RULES:
        assert html.escape(rule.title, quote=False) in heading(page, rule.id)
        assert rule.example.splitlines()[0] in page


def heading(page: str, id: str) -> str:
    """The one heading that an address of this id leads to."""
    (found,) = re.findall(f'<summary><h3 id="{re.escape(id)}" .*?</summary>', page)
    return str(found)


def test_every_finding_has_a_section() -> None:
    """A few only are in the last one, whose name says nothing."""
    page = document.page()
    sections = dict.fromkeys(re.findall(r"^## (.+)$", page, re.MULTILINE))
    assert tuple(sections) == SECTIONS
    assert page.split(f"\n## {SECTIONS[-1]}\n")[1].count("<summary>") < 12


def test_writing_and_checking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    assert document.main(["--check"]) == 1
    assert document.main([]) == 0
    assert document.main(["--check"]) == 0
    page = tmp_path / "docs/findings.md"
    page.write_text(page.read_text().replace("error", "eror", 1))
    assert document.main(["--check"]) == 1
