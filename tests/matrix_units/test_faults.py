"""Tests that the kernels still have the place of each seeded fault; test_kernels.py shows that each is caught."""

from __future__ import annotations

from emulator.build import ROOT
from emulator.faults import seeded
from matrix_units.faults import FAULTS


def test_every_fault_has_its_place() -> None:
    for number, fault in enumerate(FAULTS, 1):
        text = seeded((ROOT / "csrc" / fault.file).read_text(), fault, number)
        assert f"dcnbuild_fault == {number}" in text
