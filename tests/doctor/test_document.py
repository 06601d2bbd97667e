"""Tests that docs/findings.md agrees with the checks and log rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcnbuild.doctor.checks import all_checks
from dcnbuild.doctor.logs import RULES
from tools.docs import findings as document

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_page_in_the_repository_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    assert document.main(["--check"]) == 0


def test_every_id_has_its_example() -> None:
    page = document.page()
    for check in all_checks():
        assert f"\n### {check.id}\n\n{check.title}." in page
    for rule in RULES:
        assert f"\n### {rule.id} (log)\n" in page
        assert rule.example.splitlines()[0] in page


def test_writing_and_checking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    assert document.main(["--check"]) == 1
    assert document.main([]) == 0
    assert document.main(["--check"]) == 0
    page = tmp_path / "docs/findings.md"
    page.write_text(page.read_text().replace("error", "eror", 1))
    assert document.main(["--check"]) == 1
