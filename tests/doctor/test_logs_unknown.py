"""A failure that no rule knows: which line of whose code, and what to look at there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from doctor.reading import findings

from dcnbuild.base import quoting
from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.doctor.logs.rule_table import STEPS

_TORCH = '  File "/env/lib/python3.10/site-packages/torch/nn/modules/module.py", line 2189, in load_state_dict\n    raise RuntimeError(\n'


def _traceback(path: str, line: int, *, after: str = "") -> str:
    return f'Traceback (most recent call last):\n  File "{path}", line {line}, in main\n    x = y\n{after}'


@pytest.mark.parametrize(
    ("log", "place"),
    [
        (_traceback("/home/ada/net/optim.py", 27) + "KeyError: 'warmup'", "/home/ada/net/optim.py, line 27"),
        (_traceback("E:\\seg\\head.py", 63) + "TypeError: 'NoneType' object is not callable", "E:\\seg\\head.py, line 63"),
        (_traceback("/w/net/a.py", 3, after=_TORCH) + "RuntimeError: odd", "/w/net/a.py, line 3"),
        ('  File "E:\\seg\\head.py", line 63\n    def f(self):\n               ^\nIndentationError: unindent', "head.py, line 63"),
        ("Cell In[7], line 3\n----> 3 loss = f(x)\n\nFile ~/e/lib/python3.10/site-packages/torch/nn/a.py:3, in f(x)\n\nValueError: odd", "cell 7, line 3"),
        ("net/head.py:9: in build\n    return cfg['head']\nE   KeyError: 'head'\n\nnet/cfg.py:11: KeyError", "net/cfg.py, line 11"),
        ("[rank0]: " + _traceback("/w/a.py", 3).replace("\n", "\n[rank0]: ") + "ValueError: odd", "/w/a.py, line 3"),
        ("╭──── Traceback (most recent call last) ────╮\n│ /w/net/loop.py:71 in run                    │\n╰─────────────────────────────────────────────╯\nKeyError: 'a'", "/w/net/loop.py, line 71"),
        (_traceback("/w/a.py", 3, after='  File "<frozen importlib._bootstrap>", line 9, in f\n') + "ValueError: odd", "/w/a.py, line 3"),
        (_traceback("/w/a.py", 3, after='  File "/env/bin/torchrun", line 8, in <module>\n') + "ValueError: odd", "/w/a.py, line 3"),
    ],
)  # fmt: skip
def test_the_innermost_line_of_the_projects_own_code_is_named(log: str, place: str) -> None:
    found = findings(log)[0]
    assert found.id == "python-error"
    assert place in found.title and place in found.cause and "the project's own code" in found.cause
    assert "Look at " in found.fix[0]


def test_who_raised_and_who_called_are_told_apart() -> None:
    called = findings(_traceback("/w/a.py", 3, after=_TORCH) + "RuntimeError: odd")[0].cause
    assert called.endswith("It was raised in torch, called from the project's own code: /w/a.py, line 3, in main.")
    alone = findings("Traceback (most recent call last):\n" + _TORCH + "RuntimeError: odd")[0].cause
    assert "It was raised in torch: /env/" in alone and "own code" not in alone


def test_a_message_that_announces_lines_brings_them() -> None:
    log = (
        _traceback("/w/a.py", 3, after=_TORCH)
        + "RuntimeError: Error(s) in loading state_dict for Net:\n\tsize mismatch for head.weight: copying a param with "
        "shape torch.Size([151, 256]) from checkpoint, the shape in current model is torch.Size([20, 256])."
    )
    found = findings(log)[0]
    assert "size mismatch for head.weight" in found.cause and "size mismatch" in found.evidence[1]
    assert any("checkpoint and the configuration describe different models" in line for line in found.fix)
    assert not any("pip" in line for line in found.fix)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("KeyError: 'a'", "Print its keys"),
        ("UnicodeDecodeError: 'gbk' codec can't decode byte 0xaf in position 14", "PYTHONUTF8=1"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data/a.json'", "pwd"),
        ("json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)", "its first lines and its size"),
        ("RuntimeError: The size of tensor a (3) must match the size of tensor b (4)", "Print both shapes"),
        ("AssertionError", "is false"),
    ],
)
def test_each_kind_of_exception_says_what_to_look_at(message: str, words: str) -> None:
    assert words in "\n".join(findings(_traceback("/w/a.py", 3) + message)[0].fix)


def test_an_argument_of_the_projects_own_function_is_no_matter_of_releases() -> None:
    found = findings(_traceback("/w/a.py", 3) + "TypeError: City.__init__() got an unexpected keyword argument 'crop'")[
        0
    ]
    assert found.id == "python-error" and "pip" not in "\n".join(found.fix)


@pytest.mark.parametrize(
    ("path", "module", "own"),
    [
        ("/home/z/p/tools/train.py", "models.head", True),
        ("/home/z/roadnet/tools/train.py", "roadnet", True),
        ("/home/z/p/tools/train.py", "einops", False),
        ("/env/lib/python3.10/site-packages/mmcv/ops/a.py", "models", False),
    ],
)
def test_a_module_of_the_project_is_not_fetched_from_an_index(path: str, module: str, own: bool) -> None:
    lines = "\n".join(findings(_traceback(path, 3) + f"ModuleNotFoundError: No module named '{module}'")[0].fix)
    assert ("PYTHONPATH" in lines) == own and ("pip install" in lines) != own


def test_a_title_names_what_it_is_about() -> None:
    found = findings("a.h:19:10: fatal error: glm/glm.hpp: No such file or directory")[0]
    assert found.title == "A header is missing: glm/glm.hpp"


def test_the_port_is_that_of_the_message() -> None:
    log = (
        "$ torchrun --nproc_per_node 4 train.py\n[W905 22:10:04.011 socket.cpp:464] [c10d] The server socket has failed to "
        "bind to [::]:29501 (errno: 98 - Address already in use)."
    )
    found = findings(log)[0]
    assert "29501" in found.cause and "464" not in found.cause
    assert any("torchrun --master_port" in line for line in found.fix)


def _said(steps: Any) -> Iterator[str]:
    if isinstance(steps, dict):
        yield from (text for inner in steps.values() for text in _said(inner))
    elif isinstance(steps, list) and steps[:1] == ["say"]:
        yield re.sub(r"[\[\]]", "", re.sub(r"\{[\w.|()', ]+\}|\|[^\[\]]*(?=\])", "x", steps[1]))
    elif isinstance(steps, list):
        yield from (text for inner in steps for text in _said(inner))


def test_what_tables_say_stays_as_it_is_in_a_comment() -> None:
    texts = [*tables.rows("exceptions").values(), *(text for steps in STEPS.values() for text in _said(steps))]
    assert len(texts) > 30
    indented = [(text, len(text) - len(text.lstrip())) for text in texts]
    assert [
        text for text, by in indented if quoting.comment(text, "sh") != f"# {' ' * by}{' '.join(text.split())}"
    ] == []


_CHAIN = """Traceback (most recent call last):
  File "/w/net/run.py", line 4, in main
    table["width"]
KeyError: 'width'

{between}

Traceback (most recent call last):
  File "/w/net/run.py", line 6, in main
    raise ValueError("no width") from error
ValueError: no width in the table
"""


@pytest.mark.parametrize(
    ("between", "said", "title"),
    [
        ("The above exception was the direct cause of the following exception:", "led to", "ValueError"),
        ("During handling of the above exception, another exception occurred:", "led to", "ValueError"),
        ("worker 2:", "Python stopped with KeyError: 'width'", "KeyError"),
    ],
)
def test_a_chain_of_exceptions_names_the_root_and_then_what_stopped(between: str, said: str, title: str) -> None:
    found = findings(_CHAIN.format(between=between))[0]
    assert said in found.cause and title in found.title
    assert "led to" not in said or found.cause.index("KeyError") < found.cause.index(
        "ValueError: no width in the table"
    )


def test_a_server_that_asks_who_one_is_needs_no_other_release() -> None:
    log = (
        _traceback("/env/lib/python3.11/site-packages/hub/http.py", 9)
        + "hub.errors.HubError: 403 Client Error. Cannot access gated repo"
    )
    shown = "\n".join(findings(log)[0].fix)
    assert "HF_TOKEN" in shown and "index versions" not in shown
