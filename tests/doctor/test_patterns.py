"""Tests that what is looked for before a pattern never hides a match of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from doctor.reading import VARIANTS

from dcnbuild.doctor.logs import RULES
from dcnbuild.doctor.parse import SHAPES
from dcnbuild.doctor.parse.patterns import _OFTEN, Sought, literals

try:
    from re import _parser as parser  # type: ignore[attr-defined]
except ImportError:  # before Python 3.11
    import sre_parse as parser


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


#: What stands in a spelling for letters that are not known, and around letters whose case does not matter.
_GAP, _ANY_CASE, _SAME_CASE = "\0", "\1", "\2"


def _spellings(sequence: Any) -> list[str]:
    """What a parsed pattern matches, one text for each way through its alternatives."""
    found = [""]
    for operation, value in sequence:
        name = str(operation)
        ways = [_GAP]
        if name == "LITERAL":
            ways = [chr(value)]
        elif name == "SUBPATTERN":
            ways = _spellings(value[3])
            if value[1] & re.IGNORECASE:
                ways = [_ANY_CASE + way + _SAME_CASE for way in ways]
        elif name == "BRANCH":
            ways = [way for branch in value[1] for way in _spellings(branch)]
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            ways = _spellings(value[2]) + [""] * (not value[0])
        elif name == "IN" and len(value) <= 3 and all(str(kind) == "LITERAL" for kind, _ in value):
            ways = [chr(letter) for _, letter in value]
        elif name in ("ASSERT", "ASSERT_NOT", "AT"):
            ways = [""]
        found = [before + way for before in found for way in ways][:2000]
    return found


def _holds(spelling: str, needle: str) -> bool:
    plain = spelling.replace(_ANY_CASE, "").replace(_SAME_CASE, "")
    return needle in plain or (_ANY_CASE in spelling and needle.lower() in plain.lower())


def test_no_alternative_is_hidden() -> None:
    """Of each way in which a pattern can match, one of the literal parts that stand before it is a part."""
    needles: dict[tuple[object, str], list[str]] = {}
    for rule in RULES:
        for needle, pattern in rule.patterns:
            needles.setdefault((rule.id + rule.title, pattern), []).append(needle)
    for shape in SHAPES:
        needles.setdefault((shape.kind, shape.pattern), []).append(shape.needle)
    hidden = [
        (about, one, spelling)
        for (about, pattern), some in needles.items()
        for spelling in _spellings(parser.parse(pattern))
        for one in some[:1]
        if not any(_holds(spelling, needle) for needle in some)
    ]
    assert hidden == []
