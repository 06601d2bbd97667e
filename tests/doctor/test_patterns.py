"""Tests that what is looked for before a pattern never hides a match of it."""

from __future__ import annotations

import pytest
from doctor.reading import VARIANTS

from dcnbuild.doctor.logs import RULES
from dcnbuild.doctor.parse import SHAPES
from dcnbuild.doctor.parse.patterns import _OFTEN, Sought, literals


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        (r"a.{3}def(ghi|j)", ["def"]),
        (r"\bfatal\s{0,4}:\s{0,4}Don't know (?P<name>what) to do", ["fatal", "Don't know ", "what", " to do"]),
        (r"(?i:error) abc", [" abc"]),
        (r"(?:abc)?(?:def){1,3}(?!ghi)(?<=jkl)", ["def"]),
        (r"abc|abd", []),
    ],
)  # fmt: skip
def test_what_every_match_holds(pattern: str, parts: list[str]) -> None:
    assert list(literals(pattern)) == parts


def test_no_match_is_lost() -> None:
    """In every line of the rules' examples, asked often enough that the literal parts are looked for."""
    lines = {line for rule in RULES for line in rule.example.splitlines()}
    lines |= {line.strip() for case in VARIANTS[:80] for line in case["log"].splitlines()}
    patterns = {(shape.needle, shape.pattern) for shape in SHAPES}
    patterns |= {pair for rule in RULES for pair in rule.patterns}
    lost = []
    for needle, pattern in patterns:
        fitting = [line for line in lines if needle in line]
        if not fitting:
            continue
        sought = Sought(needle, pattern)
        first = [sought.search(line) is not None for line in fitting]
        sought._asked = _OFTEN
        if [sought.search(line) is not None for line in fitting] != first:
            lost.append(pattern)
    assert lost == []
