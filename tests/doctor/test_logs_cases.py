"""More about the logs under cases/: further causes, evidence, and what may be wrapped around them.

`cases/<symptom>/expected.yaml` gives for each log: `first`, the id of the first finding (null for a
clean log); `then`, the ids after it; and texts that its cause, fix and evidence have to hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doctor.reading import CASES, VARIANTS, findings, first
from doctor.reading import expected as expected_in

from dcnbuild.doctor.logs import RULES
from dcnbuild.doctor.parse.text import split_lines


def _cases() -> list[Any]:
    found = []
    for table in sorted(CASES.glob("*/expected.yaml")):
        for name, expected in expected_in(table.parent).items():
            path = table.parent / f"{name}.log"
            found.append(pytest.param(path, expected, id=f"{table.parent.name}/{name}"))
    return found


ALL = _cases()


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def test_every_rule_has_a_case() -> None:
    """Here, or among the cases from outside."""
    shown = {case.values[1]["first"] for case in ALL}
    shown |= {other for case in ALL for other in case.values[1].get("then", [])}
    logs = [case["log"] for case in VARIANTS]
    logs += [path.read_bytes() for path in (CASES.with_name("outside") / "given").glob("*.log")]
    shown |= {finding.id for log in logs for finding in findings(log)[:1]}
    assert {rule.id for rule in RULES} - shown == set()


@pytest.mark.parametrize(("path", "expected"), ALL)
def test_further_causes_follow_and_the_evidence_decides(path: Path, expected: dict[str, Any]) -> None:
    found = findings(path.read_bytes())
    wanted = [expected["first"], *expected.get("then", [])] if expected["first"] else []
    assert [finding.id for finding in found] == wanted
    if "evidence" in expected:
        assert expected["evidence"] in found[0].evidence


@pytest.mark.parametrize(("path", "expected"), ALL)
def test_evidence_is_verbatim_and_templates_are_filled(path: Path, expected: dict[str, Any]) -> None:
    text = _text(path)
    unescaped = text.replace("\\n", "\n").replace('\\"', '"').replace("\\'", "'")
    for finding in findings(path.read_bytes()):
        assert finding.evidence
        assert all(line in text or line in unescaped for line in finding.evidence)
        for line in (finding.cause, *finding.fix):
            assert "None" not in line and "{project}" not in line and "bound method" not in line


def _each_line(make: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: "".join(f"{make(line)}\n" for line in text.split("\n"))


_NOISE = (
    "[1/2] /usr/local/cuda/bin/nvcc -I/usr/include -gencode=arch=compute_80,code=sm_80 -c a.cu\n"
    "/usr/include/ATen/core/TensorBody.h:262:30: note: declared here\n"
    "  262 |   DeprecatedTypeProperties & type() const {\n"
    "a.cpp:80:20: warning: ‘at::DeprecatedTypeProperties& at::Tensor::type() const’ is deprecated\n"
)
WRAPPERS: dict[str, Callable[[str], str]] = {
    "colours": _each_line(lambda line: f"\x1b[01m\x1b[K{line[:3]}\x1b[m\x1b[K{line[3:]}\x1b[0m"),
    "colours that lost their escape": lambda text: text.replace("error: ", "[01;31m[Kerror: [m[K"),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CI timestamps": _each_line(lambda line: f"2026-03-02T09:14:07.1031554Z {line}"),
    "logging timestamps": _each_line(lambda line: f"[2026-03-02 09:14:07,103] {line}"),
    "docker build": _each_line(lambda line: f"#14 74.52 {line}"),
    "docker compose": _each_line(lambda line: f"web-1  | {line}"),
    "quoted": _each_line(lambda line: f"> {line}"),
    "uv's box": _each_line(lambda line: f"  │ {line}"),
    "pip's box": lambda text: (
        "  × python setup.py develop did not run successfully.\n  │ exit code: 1\n"
        + "".join(f"      {line}\n" for line in text.split("\n"))
        + "      [end of output]\n"
    ),
    "noise around it": lambda text: _NOISE * 20 + text + _NOISE * 20,
}


@pytest.mark.parametrize(("path", "expected"), ALL)
def test_wrappers_and_encodings_change_nothing(path: Path, expected: dict[str, Any]) -> None:
    text = _text(path)
    found = {wrapper: first(wrap(text)) for wrapper, wrap in WRAPPERS.items()}
    found["UTF-16"] = first(text.encode("utf-16"))
    if expected["first"] is None and found["pip's box"] == "build-stopped":
        del found["pip's box"]  # the box says itself that what is in it failed
    wrong = {wrapper: id for wrapper, id in found.items() if id != expected["first"]}
    assert wrong == {}


def _broken_at(width: int, text: str) -> str:
    """As a terminal of this width shows it, copied."""
    pieces = (line[start : start + width] for line in text.split("\n") for start in range(0, max(1, len(line)), width))
    return "\n".join(pieces)


@pytest.mark.parametrize(("width", "most"), [(80, 0.04), (100, 0.0125), (120, 0.015)])
def test_logs_that_a_terminal_broke_are_read(width: int, most: float) -> None:
    """Two lines of the full width tell; what breaks a single line is left as it is."""
    wrong = []
    for case in ALL:
        path, expected = case.values
        broken = _broken_at(width, _text(path))
        full = {line for line in broken.split("\n") if len(line) == width}
        if first(broken) != expected["first"]:
            wrong.append((path, len(full)))
    assert len(wrong) <= most * len(ALL), wrong
    assert len([path for path, full in wrong if full > 1]) <= 1, wrong


def test_lines_of_one_length_by_chance_stay() -> None:
    error = "a.cpp:3:5: error: ‘AT_CHECK’ was not declared in this scope"
    text = "\n".join([error.ljust(80, "x"), "=" * 80, "compilation terminated."])
    assert split_lines(text) == text.split("\n")


def test_the_deciding_line_alone_is_enough_for_plain_causes() -> None:
    for name in ("thc-headers", "at-check", "unsupported-gpu-arch", "no-space", "glibcxx"):
        for case in ALL:
            path, expected = case.values
            if expected["first"] != name:
                continue
            evidence = findings(path.read_bytes())[0].evidence[0]
            assert first(evidence) == name


def test_a_docker_json_file_is_read() -> None:
    line = 'src/thc.cu(7): error: identifier "THCudaCheck" is undefined'
    assert first(json.dumps({"log": line + "\n", "stream": "stderr"}) + "\n") == "thcudacheck"
