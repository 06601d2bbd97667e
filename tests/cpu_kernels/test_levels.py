"""The CPU's inner kernels at every level, without torch: this machine's, and aarch64's under qemu where that is
installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from conftest import CHECKOUT
from cpu_kernels.build import TARGETS, build, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def programs() -> Callable[[str], Path]:
    """Gives the program of a target, and skips where it cannot be made."""

    @cache
    def made(name: str) -> Path:
        return build(TARGETS[name], CHECKOUT / "build" / "cpu_kernels" / name)

    def program(name: str) -> Path:
        if missing := TARGETS[name].missing():
            pytest.skip(missing)
        return made(name)

    return program


@pytest.mark.parametrize(
    ("name", "level"),
    [(name, level) for name, target in TARGETS.items() for level in target.levels],
)
def test_kernels_compute_what_their_definitions_say(programs: Callable[[str], Path], name: str, level: str) -> None:
    done = run(TARGETS[name], programs(name), level)
    if done.returncode == 77:
        pytest.skip(f"this CPU has no {level}")
    found = re.fullmatch(r"(\w+): (\d+) compared, 0 failed", done.stdout.splitlines()[-1])
    assert done.returncode == 0 and found is not None, done.stdout
    assert found[1] == level
    assert int(found[2]) > 1_000_000


def test_a_level_that_the_cpu_lacks_is_refused(programs: Callable[[str], Path]) -> None:
    """Under qemu's Cortex-A72, which has no bfloat16; without a wish, it takes the next lower level."""
    older = replace(TARGETS["aarch64"], emulator=("qemu-aarch64-static", "-cpu", "cortex-a72"))
    program = programs("aarch64")
    refused = run(older, program, "neon_bf16")
    assert refused.returncode == 77
    assert "which this CPU does not have" in refused.stdout
    assert run(older, program, "").stdout.startswith("neon: ")
