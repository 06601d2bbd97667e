"""Tests the table of the report: its columns, and where its lines are broken."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from rich.console import Console

from dcnbuild.port.report import print_report
from dcnbuild.port.result import Change, FileResult, ProjectResult, Remark

LONG = PurePosixPath("models/ops/src/deformable/modulated_deform_conv_cuda_kernel.cu")
LEFT = tuple(
    Remark("th-tensor", lines, name, "it went", "write it", "broken") for lines, name in (((1, 2), "A"), ((3,), "B"))
)
FILE = FileResult(
    LONG,
    "a",
    "b",
    changes=(*[Change("thc-state-parameter", 1, "a", "b")] * 12, Change("at-check", 1, "a", "b")),
    remarks=LEFT,
)


def printed(file: FileResult, width: int) -> list[str]:
    out = io.StringIO()
    print_report(Console(file=out, width=width), ProjectResult((file,), True), None)
    return [line for line in out.getvalue().splitlines() if line[:1] in "┏┃┡│└"]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_words_stay_whole(width: int) -> None:
    lines = printed(FILE, width)
    assert max(map(len, lines)) <= width
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    path, rules, left = (" ".join(column).split() for column in zip(*cells, strict=True))
    assert "".join(path) == str(LONG)
    assert all(word[-1] in "/_" for word in path[:-1])
    assert rules == ["thc-state-parameter", "×12,", "at-check"]
    assert left == ["th-tensor", "(fails)", "×3"]


def test_a_narrow_terminal_gets_all_of_it_too() -> None:
    rows = [line.strip("│").split("│") for line in printed(FILE, 40) if line.startswith("│")]
    path, rules, left = ("".join("".join(column).split()) for column in zip(*rows, strict=True))
    assert (path, rules, left) == (str(LONG), "thc-state-parameter×12,at-check", "th-tensor(fails)×3")


@pytest.mark.parametrize(("compiles", "there"), [(None, False), (True, True), (False, True)])
def test_what_was_not_compiled_has_no_column_for_it(compiles: bool | None, there: bool) -> None:
    heading = [line for line in printed(replace(FILE, compiles=compiles), 120) if line.startswith("┃")]
    assert ("compiles" in "".join(heading)) == there
