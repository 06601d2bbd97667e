"""Tests every rule: it rewrites its examples as its entry says, and leaves other code alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from port.support import port_cpp, port_py

from dcnbuild.port import ffi_project, scripts
from dcnbuild.port.python.module import Modules
from dcnbuild.port.python.port import RULES as PYTHON_RULES
from dcnbuild.port.python.statements import as_python3
from dcnbuild.port.rule import Leftover, Rule, entries
from dcnbuild.port.rules import LEFTOVERS, RULES

EVERY = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
EVERY_PYTHON = pytest.mark.parametrize("rule", PYTHON_RULES, ids=lambda rule: rule.id)


def ported(rule: Rule, text: str) -> str:
    return port_cpp(text, rule, fix_bugs=True).text


def test_ids_are_unique_and_kebab_case() -> None:
    ids = [rule.id for rule in (*RULES, *PYTHON_RULES)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", id) for id in ids)


@EVERY
def test_the_example_becomes_what_the_entry_says(rule: Rule) -> None:
    found = ported(rule, rule.before)
    assert found.endswith(rule.after)
    # what comes on top is includes and the helper, nothing else
    added = found[: -len(rule.after)]
    assert not rule.helper or rule.helper in added
    assert rule.helper or all(line.startswith("#include <") for line in added.splitlines())


@EVERY
def test_twice_changes_nothing_more(rule: Rule) -> None:
    once = ported(rule, rule.before)
    assert ported(rule, once) == once


@EVERY
def test_what_looks_alike_is_left_alone(rule: Rule) -> None:
    assert rule.untouched
    for text in rule.untouched:
        result = port_cpp(text, rule, fix_bugs=True)
        assert (result.text, result.changes) == (text, ())


HIDDEN: dict[str, Callable[[str], str]] = {
    "line comment": lambda text: "".join(f"// {line}\n" for line in text.splitlines()),
    "block comment": lambda text: f"/* {text.replace('*/', '')} */\n",
    "raw string": lambda text: f'const char* text = R"~({text})~";\n',
    "#if 0": lambda text: f"#if 0\n{text}#endif\n",
    "#else of today's torch": lambda text: f"#ifdef TORCH_CHECK\n#else\n{text}#endif\n",
    "ROCm": lambda text: f"#ifdef USE_ROCM\n{text}#endif\n",
}


@pytest.mark.parametrize("place", HIDDEN)
@EVERY
def test_where_it_is_no_code_it_is_left_alone(rule: Rule, place: str) -> None:
    text = HIDDEN[place](rule.before)
    assert ported(rule, text) == text


@EVERY
def test_line_ends_stay(rule: Rule) -> None:
    windows = rule.before.replace("\n", "\r\n")
    found = ported(rule, windows)
    assert found.count("\n") == found.count("\r\n")
    assert found.replace("\r\n", "\n") == ported(rule, rule.before)


@EVERY
def test_bugs_and_deprecated_forms_wait_for_their_option(rule: Rule) -> None:
    plain = port_cpp(rule.before, rule, deprecated=False)
    assert bool(plain.changes) == (rule.need == "broken")
    if rule.need == "bug":
        assert [remark.id for remark in plain.remarks] == [rule.id]
        assert plain.remarks[0].lines and plain.remarks[0].advice


PATTERNS = [rule for rule in RULES if rule.rewrite is None and not rule.names and rule.pattern[0] != "."]


@pytest.mark.parametrize("rule", PATTERNS, ids=lambda rule: rule.id)
def test_what_the_project_defines_is_its_own(rule: Rule) -> None:
    match = re.match(r"\w+", rule.pattern)
    assert match
    text = f"#define {match[0]}(...) mine(__VA_ARGS__)\n{rule.before}"
    assert ported(rule, text) == text
    header = f"#pragma once\n#define {match[0]}(...) mine(__VA_ARGS__)\n"
    beside = f'#include "mine.h"\n{rule.before}'
    assert port_cpp(beside, rule, mine__h=header).text == beside


@pytest.mark.parametrize("rule", PATTERNS, ids=lambda rule: rule.id)
def test_members_and_other_namespaces_are_not_meant(rule: Rule) -> None:
    match = re.match(r"\w+", rule.pattern)
    assert match
    for prefix in ("object.", "pointer->", "other::"):
        text = f"void g() {{ {prefix}{match[0]}(a, b, c); }}\n"
        assert ported(rule, text) == text


@EVERY_PYTHON
def test_a_python_example_becomes_what_the_entry_says(rule: Rule) -> None:
    assert port_py(rule.before) == rule.after
    assert port_py(rule.after) == rule.after


@EVERY_PYTHON
def test_python_that_looks_alike_is_left_alone(rule: Rule) -> None:
    assert rule.untouched
    for text in rule.untouched:
        assert port_py(text) == text


@EVERY_PYTHON
def test_python_in_comments_and_strings_is_left_alone(rule: Rule) -> None:
    for text in (
        "".join(f"# {line}\n" for line in rule.before.splitlines()),
        f"text = {rule.before!r}\n",
    ):
        assert port_py(text) == text


@EVERY_PYTHON
def test_line_ends_of_python_stay(rule: Rule) -> None:
    assert port_py(rule.before.replace("\n", "\r\n")) == rule.after.replace("\n", "\r\n")


@pytest.mark.parametrize("leftover", LEFTOVERS, ids=lambda leftover: leftover.id)
def test_what_is_left_is_said_with_line_reason_and_advice(leftover: Leftover) -> None:
    result = port_cpp(f"// first line\n{leftover.example}")
    assert result.text == f"// first line\n{leftover.example}"
    assert {remark.id for remark in result.remarks} >= {leftover.id}
    for remark in result.remarks:
        assert remark.lines == (2,)
        assert remark.reason and remark.advice
    for text in leftover.untouched:
        assert port_cpp(text).remarks == ()


@pytest.mark.parametrize("rule", scripts.RULES, ids=lambda rule: rule.id)
def test_the_example_of_a_build_script_becomes_what_the_entry_says(rule: Rule) -> None:
    (found,) = scripts.port_scripts({PurePosixPath("Makefile"): (rule.before, "utf-8")}, new_standard=True)
    assert found.new == rule.after
    assert {change.rule for change in found.changes} == {rule.id}


def test_the_examples_of_new_files_are_what_is_written() -> None:
    binding, project, statements = ffi_project.RULES
    assert as_python3(statements.before)[0] == statements.after
    header, source = PurePosixPath("src/twice.h"), PurePosixPath("src/twice.cpp")
    texts = {header: binding.before, source: "int twice(at::Tensor in, at::Tensor out) { return 1; }\n"}
    build = "from torch.utils.ffi import create_extension\ncreate_extension('twice', headers=['src/twice.h'], sources=['src/twice.cpp'])\n"
    written, _ = ffi_project.port_ffi(Modules({PurePosixPath("build.py"): build}), texts, "twice")
    assert written.new == binding.after
    assert [file.new for file in ffi_project.project_file(project.before)] == [project.after]


def test_a_row_with_each_stands_for_many(tmp_path: Path) -> None:
    table = tmp_path / "table.yaml"
    common = "gone: now\n  pattern: '{old}'\n  replacement: '{old}_'\n  before: ''\n  after: ''\n  untouched: ['{old}s', s]\n"
    table.write_text(f"- each:\n  - {{old: a}}\n  - {{old: b}}\n  id: x-{{old}}\n  {common}")
    found = entries(table)
    assert [(rule.id, rule.replacement, rule.untouched) for rule in found] == [
        ("x-a", "a_", ("as", "s")),
        ("x-b", "b_", ("bs", "s")),
    ]
    with pytest.raises(ValueError, match="no entry for the rules y"):
        entries(table, {"rewrite_y": lambda code, scope: []})
