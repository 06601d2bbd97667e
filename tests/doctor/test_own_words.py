"""Tests that the doctor's own words appear unchanged in shell comments.

Interactive zsh and csh read on behind a `#`, so a comment replaces every character that a shell may act upon. The
project's own texts must do without them, or they would come out as "mmcv-full_s".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dcnbuild.doctor
from dcnbuild.base import quoting
from dcnbuild.doctor.checks import examine
from dcnbuild.doctor.examples import EXAMPLES
from dcnbuild.doctor.logs import RULES, LogRule
from dcnbuild.doctor.templates import ENTITY
from dcnbuild.knowledge import modules

_OPTIONAL = re.compile(r"\[([^\[\]|]*)(?:\|([^\[\]]*))?\]")
#: What says a text: functions of fixes, and verbs of a rule's row.
_SAYS = ("say", "comment", "stand_in")


def kept(text: str) -> bool:
    """Whether a comment has the text as it is, but for a comma in place of a semicolon."""
    indent = " " * (len(text) - len(text.lstrip()))
    written = indent + " ".join(text.replace(";", ",").split())
    return quoting.comment(text, "sh") == f"# {written}"


def texts(template: str) -> Iterator[str]:
    """A template with and without its optional parts, and "x" for every name."""
    for part in (1, 2):
        chosen = _OPTIONAL.sub(
            lambda found, part=part: (found[part] or "") if ENTITY.search(found[1]) else found[0],  # type: ignore[misc]
            template,
        )
        yield ENTITY.sub(lambda found: found[2] or "x", chosen)


def said(step: Any) -> Iterator[str]:
    """The templates of a step, with all its branches."""
    if isinstance(step, dict):
        for inner in (inner for steps in step.values() for inner in steps):
            yield from said(inner)
    elif not isinstance(step, str) and step[0] in _SAYS:
        yield str(step[1])


@pytest.mark.parametrize("rule", RULES, ids=[f"{i}-{rule.id}" for i, rule in enumerate(RULES)])
def test_what_a_rule_says(rule: LogRule) -> None:
    for template in (template for step in rule.steps for template in said(step)):
        assert [text for text in texts(template) if not kept(text)] == []


def test_what_the_table_of_projects_says() -> None:
    assert [row.note for row in modules.rows() if not kept(row.note or "-")] == []


def test_what_code_says() -> None:
    found = []
    for path in Path(dcnbuild.doctor.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""  # fmt: skip
            if isinstance(node, ast.Call) and called in _SAYS and node.args:
                parts = [part for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
                found += [part.value for part in parts if isinstance(part.value, str)]
    assert len(found) > 30
    assert [text for text in found if text.strip() and not kept(f"x{text.strip()}")] == []


def test_what_the_checks_say_of_the_examples() -> None:
    lines = [line for facts in EXAMPLES.values() for item in examine(facts) for line in item.fix]
    comments = [line for line in lines if line.startswith("# ")]
    assert len(comments) > 5
    assert [line for line in comments if re.search(r"(?:\W|^)_|_(?:\W|$)|\w_s\b", line)] == []


def test_the_test_itself_sees_what_is_lost() -> None:
    assert kept("the header cstdint; in csrc/a.cu, or -f") and kept("    gpus: all")
    for text in ("mmcv-full's absence", "a toolkit (CUDA_HOME)", "#include <a>", "`apex`", "a [b]"):
        assert not kept(text)
    assert list(texts("a[ of {b}|, none] [c]")) == ["a of x [c]", "a, none [c]"]


def test_an_empty_call_leaves_no_underscores() -> None:
    assert quoting.comment("x.type() becomes x.scalar_type();", "sh") == ("# x.type becomes x.scalar_type,")
