"""Flags and gates of setup.py, and names of six."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from port.python_texts import execute, port_files
from port.support import port_py


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from torch._six import inf\n", "inf = float('inf')\n"),
        (
            "from torch._six import inf as INF, string_classes\n",
            "INF = float('inf')\nstring_classes = (str, bytes)\n",
        ),
        (
            "def f():\n    from torch._six import inf, nan\n",
            "def f():\n    inf = float('inf')\n    nan = float('nan')\n",
        ),
        (
            "import a; from torch._six import inf, nan\n",
            "import a; inf = float('inf'); nan = float('nan')\n",
        ),
        ("isinstance(x, torch._six.string_classes)\n", "isinstance(x, (str, bytes))\n"),
        ("import torch._six\n", "import torch\n"),
        ("from torch._six import istuple\n", "istuple = lambda value: isinstance(value, tuple)\n"),
        ("from torch._six import unheard_of\n", "from torch._six import unheard_of\n"),
    ],
)
def test_six(before: str, after: str) -> None:
    assert port_py(before) == after


def test_a_name_of_six_that_is_not_known_is_said() -> None:
    (remark,) = port_files(a="import x\nfrom torch._six import unheard_of\n")["a"].remarks
    assert (remark.id, remark.lines) == ("torch-six", (2,))


def test_a_module_that_is_gone_is_said() -> None:
    text = "from torch._thnn import type2backend\ntry:\n    import torch.legacy.nn\nexcept ImportError:\n    pass\n"
    (remark,) = port_files(a=text)["a"].remarks
    assert (remark.id, remark.lines, remark.need) == ("gone-module", (1,), "broken")


EXTENSION = "from torch.utils.cpp_extension import CUDAExtension\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("f = ['-std=c++11']\n", "f = []\n"),
        ("f = ['-std=c++14', '-O2']\n", "f = ['-O2']\n"),
        ("f = ['-O2', '-std=c++14',]\n", "f = ['-O2',]\n"),
        ("f = [\n    '-O2',  # fast\n    '-std=c++17',\n]\n", "f = [\n    '-O2',\n]\n"),
        ("f = '-O2 -std=c++14 -g'.split()\n", "f = '-O2 -g'.split()\n"),
        (
            "f = {'cxx': ['-std=c++14'], 'nvcc': ['-O2', '--std=c++14']}\n",
            "f = {'cxx': [], 'nvcc': ['-O2']}\n",
        ),
        ("f.append('-std=c++14')\ng = 1\n", "g = 1\n"),
        ("if a:\n    f.append('-std=c++14')\n", "if a:\n    pass\n"),
        ("f.append('/std:c++14' if w else '-std=c++14')\ng = 1\n", "g = 1\n"),
        ("f = ['-std=c++20']\n", "f = ['-std=c++20']\n"),
        ("f = ['-std=gnu++1y', '-x']\n", "f = ['-x']\n"),
        ("print('pass -std=c++14 to it')\n", "print('pass -std=c++14 to it')\n"),
        (
            "f = ['-gencode', 'arch=compute_61,code=sm_61', '-gencode', 'arch=compute_75,code=sm_75']\n",
            "f = []\n",
        ),
        ("f = ['-O2', '-Xcompiler', '-std=c++14', '-g']\n", "f = ['-O2', '-g']\n"),
        ("f = ['-Xcompiler', '-fPIC', '-ccbin', 'g++-5', '-g']\n", "f = ['-Xcompiler', '-fPIC', '-g']\n"),
        ("f = ['-ccbin', compiler, '-g']\n", "f = ['-ccbin', compiler, '-g']\n"),
        ("f = ['-O2', '-arch=sm_52', '-g']\n", "f = ['-O2', '-g']\n"),
        (
            "if a:\n    f.append('-gencode')\n    f.append('arch=compute_70,code=sm_70')\n",
            "if a:\n    pass\n",
        ),
        (
            "f = '-gencode arch=compute_60,code=sm_60 -O2'.split()\n",
            "f = '-O2'.split()\n",
        ),
        (
            "f = ['-gencode=arch=compute_90,code=sm_90']\n",
            "f = ['-gencode=arch=compute_90,code=sm_90']\n",
        ),
    ],
)
def test_flags(before: str, after: str) -> None:
    found = port_py(EXTENSION + before)
    assert found == EXTENSION + after
    compile(found, "setup.py", "exec")


def test_cpp17_stays_where_no_header_refuses_it() -> None:
    text = EXTENSION + "f = ['-std=c++17', '-std=c++14']\n"
    assert port_py(text, new_standard=False) == EXTENSION + "f = ['-std=c++17']\n"


def test_a_flag_that_cannot_be_taken_out_is_said() -> None:
    text = EXTENSION + "flags = {'cxx': '-std=c++14'}\n"
    result = port_files(setup=text)["setup"]
    assert result.new == text
    assert [(r.id, r.lines) for r in result.remarks] == [("cxx-standard", (2,))]


SETUP = '''\
#!/usr/bin/env python
"""Builds it."""
import os
import torch
from setuptools import setup
from torch.utils.cpp_extension import CUDA_HOME, CppExtension, CUDAExtension

KIND = CppExtension
if torch.cuda.is_available() and CUDA_HOME is not None:
    KIND = CUDAExtension
if not torch.cuda.is_available():
    print("no GPU")
RESULT = KIND
setup()
'''


@pytest.mark.parametrize(
    ("forced", "gpu", "toolkit", "cuda", "expected"),
    [
        (None, False, "/usr/local/cuda", "13.0", True),
        (None, False, None, "13.0", False),
        (None, False, "/usr/local/cuda", None, False),
        (None, True, None, "13.0", True),
        ("1", False, None, None, True),
        ("0", True, "/usr/local/cuda", "13.0", False),
    ],
)
def test_the_gate_asks_for_a_toolkit_and_for_force_cuda(
    monkeypatch: pytest.MonkeyPatch,
    forced: str | None,
    gpu: bool,
    toolkit: str | None,
    cuda: str | None,
    expected: bool,
) -> None:
    extensions = types.ModuleType("torch.utils.cpp_extension")
    vars(extensions).update(CUDA_HOME=toolkit, CppExtension="cpp", CUDAExtension="cuda")
    tools = types.ModuleType("setuptools")
    vars(tools).update(setup=lambda: None)
    monkeypatch.setitem(sys.modules, "torch.utils.cpp_extension", extensions)
    monkeypatch.setitem(sys.modules, "setuptools", tools)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.delenv("FORCE_CUDA", raising=False)
    if forced:
        monkeypatch.setenv("FORCE_CUDA", forced)
    ported = port_py(SETUP)
    assert ported.startswith(SETUP[: SETUP.index("\nKIND")])
    module = execute("setup", ported)
    assert module.__dict__["_cuda_wanted"]() is expected
    # the script's own look at CUDA_HOME still counts
    assert (module.RESULT == "cuda") is (expected and toolkit is not None)
    assert port_py(ported) == ported


def test_offsets_are_right_behind_other_letters_and_a_byte_order_mark() -> None:
    text = EXTENSION + "é = 'ü'; f = ['ß', '-std=c++14', '日本']\n"
    assert port_py(text) == EXTENSION + "é = 'ü'; f = ['ß', '日本']\n"
    assert port_py("\ufeff" + text) == "\ufeff" + EXTENSION + "é = 'ü'; f = ['ß', '日本']\n"
