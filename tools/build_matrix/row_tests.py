"""Chooses the tests of a row, and reads pytest's report."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

_CORES = os.cpu_count() or 1
#: Options of pytest-xdist, and the variables with which all workers together use as many threads as there are cores.
WORKERS = ("-n", str(min(4, _CORES)))
THREADS = {"OMP_NUM_THREADS": str(max(1, _CORES // min(4, _CORES)))}

#: The tests of a row below tests/, and pytest's -k. The prebuilt route runs some tests of each kind: agreement with the
#: reference and torchvision in both precisions, edge cases, derivatives, transforms, a compiled graph, modules, errors.
#: `nox -s thorough` runs all tests on one pair, with opcheck, which takes longer than these together.
PREBUILT_TESTS = (
    (
        *("builder/test_installed.py", "ops/test_agreement.py", "ops/test_edge_cases.py"),
        *("ops/test_gradcheck.py", "ops/test_modules.py", "ops/test_transforms.py"),
        *("ops/test_bad_input.py", "ops/test_pool_agreement.py"),
    ),
    "(cpu-0-float or cuda-0-float or not thousand) and not layouts and not opcheck",
)
#: The JIT route compiles the same sources again, so a few tests of its results are enough.
JIT_TESTS = (
    (
        *("builder/test_installed.py", "ops/test_agreement.py", "ops/test_modules.py"),
        "ops/test_pool_agreement.py",
    ),
    "installed or cpu-0-float64 or cuda-0-float64 or larger or half or learns or plain_loops",
)


def count_tests(report: Path) -> dict[str, tuple[int, int, int]]:
    """Returns (passed, failed, skipped) for each device, from pytest's JUnit report.

    The device is the property that tests/conftest.py sets; a test without it needs no GPU, whatever its parameters
    are. A test that was skipped with "no GPU" is not counted.
    """
    counts = {"cpu": [0, 0, 0], "cuda": [0, 0, 0]}
    for case in ElementTree.parse(report).iter("testcase"):
        on = case.find("properties/property[@name='device']")
        device = "cpu" if on is None else on.get("value", "cpu")
        skipped = case.find("skipped")
        if skipped is not None:
            if "no GPU" not in (skipped.get("message") or ""):
                counts[device][2] += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            counts[device][1] += 1
        else:
            counts[device][0] += 1
    return {device: (found[0], found[1], found[2]) for device, found in counts.items()}


def failed_tests(report: Path) -> list[str]:
    """Returns the names of the tests that failed."""
    return [
        case.get("name", "?")
        for case in ElementTree.parse(report).iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
