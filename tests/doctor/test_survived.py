"""What a program printed and survived is not why it ended; what ended a worker of it is."""

from __future__ import annotations

import pytest
from doctor.reading import first

from dcnbuild.doctor.logs import read_log
from dcnbuild.doctor.parse import Log
from dcnbuild.doctor.parse.success import survived

CAUGHT = """Traceback (most recent call last):
  File "/w/net/attn.py", line 12, in choose
    import flash_attn
ModuleNotFoundError: No module named 'flash_attn'
"""
WORK = "2024-05-02 11:03:14,310 - app - INFO - model ready\n"
#: What ends the program, by its own code.
ENDED = """Traceback (most recent call last):
  File "/w/train.py", line 40, in <module>
    neck = cfg['neck']
KeyError: 'neck'
"""


def of_worker(frame: str) -> str:
    """The traceback of a process that the program started."""
    return CAUGHT.replace("/w/net/attn.py", frame)


@pytest.mark.parametrize(
    ("log", "caught"),
    [
        pytest.param(CAUGHT + WORK + ENDED, True, id="work between"),
        pytest.param(CAUGHT + "epoch 1 loss 0.3\n" + ENDED, True, id="progress between"),
        pytest.param(CAUGHT + ENDED, False, id="nothing between"),
        pytest.param(CAUGHT + WORK, False, id="nothing ended it"),
        pytest.param(CAUGHT + WORK + CAUGHT, False, id="the same again"),
        pytest.param(CAUGHT + WORK + "$ python other.py\n" + ENDED, False, id="another run"),
        pytest.param(CAUGHT + WORK + "+ python other.py\n" + ENDED, False, id="another command of a script"),
        pytest.param(CAUGHT + WORK + "FAILED: a.o\n" + ENDED, False, id="a build failed between"),
        pytest.param(of_worker("/usr/lib/python3.10/multiprocessing/process.py") + WORK + ENDED, False, id="a worker"),
        pytest.param(of_worker("/usr/lib/python3.10/threading.py") + WORK + ENDED, False, id="a thread"),
        pytest.param(
            CAUGHT + "\nDuring handling of the above exception, another exception occurred:\n\n" + ENDED,
            False,
            id="a chain",
        ),
        pytest.param(
            CAUGHT
            + WORK
            + ENDED.replace("KeyError: 'neck'", "RuntimeError: Engine core failed. See root cause above."),
            False,
            id="it points back",
        ),
        pytest.param(
            CAUGHT + WORK + ENDED.replace("KeyError: 'neck'", "NameError: name 'flash_attn_func' is not defined"),
            False,
            id="it is about the same",
        ),
        pytest.param(
            CAUGHT + WORK + ENDED.replace("KeyError: 'neck'", "ChildFailedError: train.py FAILED"),
            False,
            id="of another process",
        ),
    ],
)
def test_a_traceback_is_survived_where_another_ends_the_program(log: str, caught: bool) -> None:
    assert survived(Log(log), 3, needs_work=True) == caught


@pytest.mark.parametrize(
    ("error", "said_all"),
    [
        ("KeyError: 'neck'", True),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'labels.json'", True),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'", False),
        ("RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x512 and 768x256)", True),
        ("RuntimeError: No CUDA GPUs are available", False),
        ("AssertionError: Torch not compiled with CUDA enabled", False),
        ("ImportError: libcudart.so.11.0: cannot open shared object file", False),
    ],
)
def test_a_warning_is_no_cause_where_the_exception_needs_none(error: str, said_all: bool) -> None:
    log = "UserWarning: something is not there\n" + ENDED.replace("KeyError: 'neck'", error)
    assert survived(Log(log), 0, needs_work=False) == said_all


def test_a_traceback_below_a_warning_is_of_that_warning() -> None:
    head = "2024-05-02 11:03:12,010 - app - WARNING - flash_attn is not there, using torch\n"
    went_on, stopped = read_log(head + CAUGHT + WORK + "training finished\n"), read_log(head + CAUGHT)
    assert [finding.severity for finding in went_on] == ["warning"]
    assert [finding.severity for finding in stopped] == ["error"]


def test_what_ended_the_program_comes_first() -> None:
    assert first(CAUGHT + WORK + ENDED) == "python-error"
    assert first(CAUGHT + ENDED) == "module-missing"


@pytest.mark.parametrize(
    ("line", "id"),
    [
        ("configure: error: could not find libnuma", "dependency-missing"),
        ("setup.py: error: OpenBLAS was required but not found", "dependency-missing"),
        ("CMake Error at CMakeLists.txt:9 (message):\n  TensorRT not found.  Set TENSORRT_ROOT.", "dependency-missing"),
        ("RuntimeError: Unable to locate NCCL, is it installed?", "dependency-missing"),
        ("error: cannot find cudnn.h", "cudnn-header-missing"),
        ("../meson.build:4:0: ERROR: Program 'ninja' not found or not executable", "ninja-missing"),
        ("make: protoc: No such file or directory", "tool-missing"),
    ],
)
def test_absence_is_read_in_the_words_of_any_tool(line: str, id: str) -> None:
    assert first(line) == id


@pytest.mark.parametrize(
    "line",
    [
        "RuntimeError: Unable to find a valid cuDNN algorithm to run convolution",
        "-- Could not find OpenBLAS",
        "warning: could not find libnuma, building without it",
        "RuntimeError: could not find labels in the table",
    ],
)
def test_no_dependency_is_missing_where_something_else_is(line: str) -> None:
    assert first(line) != "dependency-missing" and first(line) != "cudnn-header-missing"


@pytest.mark.parametrize(
    ("line", "id", "cause"),
    [
        ("worker-1 exited with code 132", "illegal-instruction", "CPU"),
        ("exits with return code = -4", "illegal-instruction", "CPU"),
        ("Process finished with exit code 139", "crash", "SIGSEGV"),
        ("exitcode: -6", "crash", "SIGABRT"),
        ("exit code: 3221225477", "crash", "access violation"),
    ],
)
def test_a_number_stands_for_what_ended_the_program(line: str, id: str, cause: str) -> None:
    found = read_log(line)
    assert found[0].id == id and cause in found[0].cause
