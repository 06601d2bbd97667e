"""Tests docs/models.md against its record, and its rows against figures made by hand."""

from __future__ import annotations

import json
from pathlib import Path

from docs.blocks import CHECKOUT

from tools.docs import models

FIGURES = {
    "layers": 3,
    "before": {"s": 2.0, "CPU s": 3.0, "MB": 40.4},
    "after": {"s": 0.5, "CPU s": 1.0, "MB": 30.6},
    "difference": 2e-6,
}


def test_the_page_is_made_of_its_record() -> None:
    page = (CHECKOUT / models.PAGE).read_text(encoding="utf-8")
    assert page == models.page(CHECKOUT)
    record = json.loads((CHECKOUT / models.RECORD).read_text(encoding="utf-8"))
    for name, figures in record["networks"].items():
        assert figures["difference"] < 1e-3, name
        assert figures["layers"] > 0, name


def test_a_row() -> None:
    row = models.cells("a network", FIGURES)
    assert row == ["a network", "3", "3.00", "1.00", "3.00", "4.00", "40", "31", "2e-06"]
    assert len(row) == len(models.COLUMNS)


def test_a_network_that_gains_nothing_is_named_so() -> None:
    row = models.cells("a network", {**FIGURES, "after": {"s": 1.95, "CPU s": 2.9, "MB": 40}})
    assert row[4] == "1.03, not faster"


def test_what_is_not_measured_is_named(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    made = {"commit": "0123456789", "date": "2026-11-29", **FIGURES}
    record = {"machine": "some CPU", "note": "busy", "transformers": "5.0", "scale": 0.5, "seconds": 1}
    record |= {"networks": {"one": made}, "missing": ["two", "three"]}
    (tmp_path / models.RECORD).write_text(json.dumps(record))
    page = models.page(tmp_path)
    assert "some CPU, transformers 5.0 (busy). Commit 0123456789 (2026-11-29)." in page
    assert "Not measured yet: two; three." in page
    assert "Images have 0.5 of the named sides" in page
    assert "| one | 3 | 3.00 |" in page
