"""No line to type has a word that somebody must replace: the log's own value stands there, or words say what to put."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from doctor.reading import findings

from dcnbuild.doctor.logs.rule_table import RULES, STEPS

_PLACEHOLDER = re.compile(
    r"YOUR_|X\.Y|NNN|\.\.\.|/path/to|/full/path|<[a-z_ -]+>(?<!<nixpkgs>)|(?<![\w$])(?:NAME|IMAGE|PROXY|USER|PASSWORD|PORT|"
    r"ENVIRONMENT|PACKAGE|HOST|FILE|DIRECTORY|SCRIPT|VERSION|PID)(?![\w=])"
)  # fmt: skip
#: Verbs whose words people read.
_SAID = ("say", "from_image")


def _typed(steps: list[Any]) -> Iterator[str]:
    for step in steps:
        if isinstance(step, dict):
            for inner in step.values():
                yield from _typed(inner)
        elif not isinstance(step, str) and step[0] not in _SAID:
            # what script_by says last is told in words
            yield from map(str, step[1:-1] if step[0] == "script_by" else step[1:])


def test_no_step_has_a_word_to_be_replaced() -> None:
    rows = {rule.id: rule.steps for rule in RULES} | STEPS
    words = [f"{name}: {word}" for name, steps in rows.items() for word in _typed(steps)]
    assert len(words) > 1000 and [word for word in words if _PLACEHOLDER.search(word)] == []


_DTYPE = "RuntimeError: \"modulated_deformable_im2col_cuda\" not implemented for 'BFloat16'"
_CRASH = "Segmentation fault (core dumped)"
_ACCESS = "RuntimeError: CUDA error: an illegal memory access was encountered"
_PYG = "RuntimeError: Detected that PyTorch and torch_scatter were compiled with different CUDA versions. PyTorch has CUDA version 12.1 and torch_scatter has CUDA version 11.8."
_DGL = "FileNotFoundError: Cannot find DGL C++ graphbolt library at /x/site-packages/dgl/graphbolt/libgraphbolt_pytorch_2.3.1.so"
_IMPORTED = '  File "/e/lib/python3.11/site-packages/x/__init__.py", line 8, in <module>\n'
_MAIN = 'Traceback (most recent call last):\n  File "/home/u/net/run.py", line 8, in <module>\n'


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (f"$ python train.py --batch 4\n{_ACCESS}", "compute-sanitizer python train.py --batch 4"),
        (f"{_MAIN}{_IMPORTED}{_DTYPE}", "python -m dcnbuild.compat /home/u/net/run.py"),
        (f"{_IMPORTED}{_DTYPE}", "# Start the program by python -m dcnbuild.compat in place of python"),
        (f"$ python a.py\n{_CRASH}", "python -X faulthandler a.py"),
        (f"$ python setup.py install\n{_CRASH}", "# Start the program by python -X faulthandler in place of python"),
        (
            f"torch 2.2.1+cu121\n{_PYG}",
            "pip install --force-reinstall --no-deps torch-scatter -f https://data.pyg.org/whl/torch-2.2.0+cu121.html --only-binary torch-scatter",
        ),
        (_PYG, "pip install --force-reinstall --no-deps --only-binary=:all: torch-scatter"),
        (
            f"torch 2.3.1+cu121\n{_DGL}",
            "pip install --force-reinstall --no-deps dgl -f https://data.dgl.ai/wheels/torch-2.3/cu121/repo.html",
        ),
        ("ERROR: Invalid requirement: 'torch=1.8.0'", "pip install torch==1.8.0"),
    ],
)  # fmt: skip
def test_the_value_of_the_log_stands_there(log: str, line: str) -> None:
    fix = findings(log)[0].fix
    assert line in fix, fix
