"""Tests that what is looked for before a pattern never hides a match of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dcnbuild.doctor.logs import RULES
from dcnbuild.doctor.logs.reader import WORDS
from dcnbuild.doctor.parse import SHAPES

try:
    from re import _parser as parser  # type: ignore[attr-defined]
except ImportError:  # before Python 3.11
    import sre_parse as parser


#: What logs have thousands of, also those of builds that go well.
ORDINARY = """
[3/9] /usr/local/cuda/bin/nvcc -c csrc/deform_conv_cuda.cu -o build/deform_conv_cuda.o -gencode=arch=compute_80,code=sm_80
/usr/bin/g++ -pthread -B /opt/conda/compiler_compat -Wall -fPIC -march=x86-64-v3 -O2 -isystem /opt/include -c src/a.cpp
cl.exe /nologo /O2 /MD /EHsc -IC:\\venv\\Include "-IC:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA\\v12.4\\include"
src/ops/roi.cpp:31:20: warning: 'T* at::Tensor::data() const [with T = float]' is deprecated [-Wdeprecated-declarations]
In file included from /opt/torch/include/c10/core/Layout.h:3, from src/ops/roi.cpp:1:
src/ops/roi.h: In function 'void roi_forward(at::Tensor)':
copying mmcv/ops/roi_align.py -> build/lib.linux-x86_64-cpython-310/mmcv/ops
-- Found Python: /usr/bin/python3.10 (found version "3.10.12") found components: Interpreter Development.Module
Collecting numpy>=1.21 (from scipy->my-project)
Requirement already satisfied: filelock in ./venv/lib/python3.10/site-packages (from torch) (3.16.1)
Downloading https://files.example.org/packages/ab/cd/pillow-10.2.0-cp310-cp310-manylinux_2_28_x86_64.whl (4.5 MB)
"""


@pytest.mark.parametrize("line", ORDINARY.strip().splitlines())
def test_ordinary_lines_are_not_looked_at(line: str) -> None:
    """Every rule is asked about a line that one of the words is in: reading is five times slower if most lines are."""
    assert [word for word in WORDS if word in line] == []


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
