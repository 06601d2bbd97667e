"""What an earlier run told of, and a later one of the same got round, is not why it failed; nor what may be ignored."""

from __future__ import annotations

import pytest
from doctor.reading import findings

from dcnbuild.doctor.parse import Log
from dcnbuild.doctor.parse.runs import Runs

NUMPY = "Traceback (most recent call last):\n  File 'a.py', line 1, in <module>\n{}\n"
BOOL = NUMPY.format("AttributeError: module 'numpy' has no attribute 'bool'.")
KERNEL = NUMPY.format("RuntimeError: CUDA error: no kernel image is available for execution on the device")
THC = "x.cu:3:10: fatal error: THC/THC.h: No such file or directory\nerror: command 'gcc' failed with exit code 1\n"
CHECK = "a.cpp:9:5: error: 'AT_CHECK' was not declared in this scope\nerror: command 'gcc' failed with exit code 1\n"


def ids(log: str) -> list[str]:
    return [finding.id for finding in findings(log)]


@pytest.mark.parametrize(
    ("first", "second", "again"),
    [
        pytest.param("$ python train.py --amp", "$ python train.py", True, id="a program"),
        pytest.param("ann@w:~/net$ python train.py", "ann@w:~/net$ python eval.py", False, id="another program"),
        pytest.param(
            "[ann@w net]$ pip install ./ops", "[ann@w net]$ pip install --no-build-isolation ./ops", True, id="pip"
        ),
        pytest.param("$ pip install .", "$ pip install -v .", True, id="the directory"),
        pytest.param("$ pip install .", "$ cd ../other && pip install .", False, id="another directory"),
        pytest.param("$ pip install mmcv", '$ python -c "import mmcv"', False, id="a build, then a program"),
        pytest.param("In [3]: import mmdet", "In [5]: from mmdet.apis import DetInferencer", True, id="cells"),
        pytest.param("$ cat slurm-11.out", "$ cat slurm-12.out", True, id="logs of one job"),
        pytest.param("#7 [3/5] RUN pip install ops", "#9 [4/5] RUN pip install heads", False, id="steps of an image"),
    ],
)
def test_a_run_is_tried_again_by_the_same_program_or_build(first: str, second: str, again: bool) -> None:
    runs = Runs(Log(f"{first}\nsaid\n{second}\nsaid\n"))
    assert (runs.of(0), runs.of(1), runs.of(3)) == (1, 1, 2)
    assert runs.tried_again(1, 2) is again
    assert not runs.tried_again(2, 1)


def test_what_the_same_command_got_round_is_left_out() -> None:
    assert ids(f"$ python train.py\n{BOOL}$ pip install 'numpy<1.24'\n$ python train.py\n{KERNEL}") == [
        "no-kernel-image"
    ]
    assert ids(f"$ python train.py\n{BOOL}$ python other.py\n{KERNEL}") == ["numpy2", "no-kernel-image"]
    assert ids(f"$ pip install .\n{THC}$ pip install . -v\n{CHECK}") == ["at-check"]
    # the same failure again stands
    assert ids(f"$ pip install .\n{THC}$ pip install . -v\n{THC}") == ["thc-headers"]


def test_a_run_that_works_at_last_leaves_nothing() -> None:
    assert ids(f"$ python train.py\n{KERNEL}$ python train.py\nepoch 1 loss 0.3\n") == []
    assert ids(f"$ python train.py\n{KERNEL}$ python train.py\nepoch 1 loss 0.3\n{KERNEL}") == ["no-kernel-image"]


def test_the_step_that_ended_the_job_comes_first() -> None:
    ended = "##[error]Process completed with exit code 1.\n"
    first, second = "##[group]Run python gpu.py || true\n" + KERNEL, "##[group]Run pip install ./ops\n" + CHECK
    assert ids(f"{first}{second}{ended}") == ["at-check", "no-kernel-image"]
    assert ids(f"{first}{ended}{second}") == ["no-kernel-image", "at-check"]


@pytest.mark.parametrize(
    ("missing", "there"),
    [
        ("ModuleNotFoundError: No module named 'torch'", "Successfully installed sympy-1.13 torch-2.5.1"),
        ("bash: nvcc: command not found", "/usr/local/cuda-11.8/bin/nvcc -c x.cu"),
    ],
)
def test_what_was_missing_and_came_is_not_why(missing: str, there: str) -> None:
    assert ids(f"{missing}\n{there}\n{THC}") == ["thc-headers"]
    assert "thc-headers" not in ids(f"{missing}\n")


def test_a_fallback_is_not_why() -> None:
    told = "Could not load flash_attn, falling back to sdpa: No module named 'flash_attn'\n"
    assert ids(f"{told}step 10 loss 2.3\n{KERNEL}") == ["no-kernel-image"]
