"""What a row's tests and failures say, as pure functions of files that the row left."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from dcnbuild.doctor.checks import all_checks
from dcnbuild.doctor.logs import read_log
from dcnbuild.errors import Finding

#: The tests of a row, and pytest's -k. On the prebuilt route one of each kind: agreement with the reference and
#: torchvision in both precisions, edge cases, derivatives, transforms, a compiled graph, modules, refusals.
#: `nox -s tests` runs all of them on one pair, opcheck too, which takes longer than these together.
PREBUILT_TESTS = (
    (
        *("test_agreement.py", "test_edge_cases.py", "test_gradcheck.py", "test_modules.py"),
        *("test_transforms.py", "test_bad_input.py", "test_pool_agreement.py"),
    ),
    "(cpu-0-float or cuda-0-float or not thousand) and not any_shape and not layouts "
    "and not opcheck",
)
#: On the JIT route, where the same sources were compiled once more: that they compute right at all.
JIT_TESTS = (
    ("test_agreement.py", "test_modules.py", "test_pool_agreement.py"),
    "cpu-0-float64 or cuda-0-float64 or larger or half or learns or plain_loops",
)


def count_tests(report: Path) -> dict[str, tuple[int, int, int]]:
    """(passed, failed, skipped) by device, of pytest's JUnit report.

    A test of a GPU has "cuda" in its parameters; one that was skipped with "no GPU" is not counted at all.
    """
    counts = {"cpu": [0, 0, 0], "cuda": [0, 0, 0]}
    for case in ElementTree.parse(report).iter("testcase"):
        device = "cuda" if re.search(r"\[.*\bcuda\b", case.get("name", "")) else "cpu"
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
    """The names of the tests that failed."""
    return [
        case.get("name", "?")
        for case in ElementTree.parse(report).iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]


def finding_of(log: str) -> dict[str, Any]:
    """What the doctor says about a build that failed.

    The build stops with a finding of its own where a check forbids it; where a compiler failed, the
    reader of logs finds the cause.
    """
    own = _own_finding(log)
    if own is not None and own.id != "build-failed":
        return own.to_json()
    named = own.evidence[0].removeprefix("full log: ") if own and own.evidence else ""
    for text in (_text(Path(named)), log):
        found = [item for item in read_log(text) if item.id != "build-stopped"] if text else []
        if found:
            return found[0].to_json()
    unknown = own or Finding(
        "build-failed", "error", "The build failed", (log.strip().splitlines() or ["?"])[-1]
    )
    return unknown.to_json()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _own_finding(log: str) -> Finding | None:
    """The finding that our own build printed: a line `dcnbuild: TITLE: CAUSE`, evidence and fixes below it."""
    titles = {check.title: check.id for check in all_checks()}
    titles |= {
        "torch is too old": "torch-too-old",
        "No C++ compiler": "compiler-missing",
        "No GPU architecture in common": "no-common-architecture",
    }
    lines = [re.sub(r"^\s{0,8}(?=dcnbuild: )", "", line) for line in log.splitlines()]
    for number in range(len(lines) - 1, -1, -1):
        match = re.match(r"dcnbuild: (?P<title>[^:]+): (?P<cause>.+)", lines[number])
        if match is None:
            continue
        title = match["title"]
        known = titles.get(title) or (
            "build-failed" if re.fullmatch(r"compiling the .* failed", title) else None
        )
        if known is None:
            continue
        evidence: list[str] = []
        fix: list[str] = []
        target = evidence
        for line in lines[number + 1 :]:
            if line.strip() == "to fix it:":
                target = fix
            elif re.match(r"\s+\S", line) and not re.match(r"\s*(?:error|ERROR|note|\[end)", line):
                target.append(line.strip())
            else:
                break
        return Finding(known, "error", title, match["cause"], tuple(evidence), tuple(fix))
    return None
