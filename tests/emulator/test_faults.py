"""Tests that the kernels still have the place of each seeded fault; mutate.py shows that each is caught."""

from __future__ import annotations

from collections import defaultdict

import pytest
from emulator.build import ROOT
from emulator.faults import FAULTS, Fault, seeded

EXPRESSION = Fault("name", "file.h", "a + b", "a - b", "check")
STATEMENT = Fault("name", "file.h", "wait();", "", "check")


def test_every_fault_has_its_place() -> None:
    texts: dict[str, str] = defaultdict(str)
    for number, fault in enumerate(FAULTS, 1):
        text = texts[fault.file] or (ROOT / "csrc" / fault.file).read_text()
        texts[fault.file] = seeded(text, fault, number)
        assert f"dcnbuild_fault == {number}" in texts[fault.file]
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 12


def test_a_fault_is_a_choice_at_run_time() -> None:
    assert seeded("x = f(a + b);", EXPRESSION, 3) == "x = f((dcnbuild_fault == 3 ? (a - b) : (a + b)));"
    assert seeded("go(); wait(); go();", STATEMENT, 4) == (
        "go(); { if (dcnbuild_fault == 4) {  } else { wait(); } } go();"
    )


def test_a_place_may_be_named_by_what_stands_around_it() -> None:
    fault = Fault("name", "file.h", "true", "false", "check", within="g(true)")
    assert seeded("f(true); g(true);", fault, 1) == "f(true); g((dcnbuild_fault == 1 ? (false) : (true)));"


@pytest.mark.parametrize("text", ["", "a + b; a + b;"])
def test_a_place_that_is_not_one_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="name"):
        seeded(text, EXPRESSION, 1)
