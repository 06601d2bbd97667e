"""The kernels for half types by themselves: check.cpp, under sanitizers, right and with each fault."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from emulator.faults import Fault
from matrix_units.build import build_check, environment, has_avx2
from matrix_units.faults import FAULTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_avx2(), reason="the stand-ins need a CPU with AVX2"),
]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_check(tmp_path_factory.mktemp("check"))


def run(check: Path, fault: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [check],
        env=environment(DCNBUILD_FAULT=str(fault)),
        capture_output=True,
        text=True,
        errors="replace",
    )


def test_agrees_with_sums_in_double(check: Path) -> None:
    done = run(check, 0)
    assert (done.returncode, done.stdout) == (0, "0 failed\n"), done.stderr


@pytest.mark.parametrize(("number", "fault"), list(enumerate(FAULTS, 1)), ids=lambda value: getattr(value, "name", ""))
def test_notices(check: Path, number: int, fault: Fault) -> None:
    assert run(check, number).returncode != 0
