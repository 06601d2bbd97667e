"""Tests what loggers mark as no failure, and what a program told before it did its work."""

from __future__ import annotations

import pytest

from dcnbuild.doctor.logs import read_log

RAY = "WARNING 11-12 08:01:27 [ray.py:46] Failed to import Ray with ModuleNotFoundError(\"No module named 'ray'\")."
NODE = """Traceback (most recent call last):
  File "C:\\\\ui\\\\nodes.py", line 2129, in load_custom_node
    import nvdiffrast
ModuleNotFoundError: No module named 'nvdiffrast'"""


@pytest.mark.parametrize(
    ("log", "found"),
    [
        (f"{RAY}\nINFO:     Application startup complete.", [("warning", "module-missing")]),
        (f"{NODE}\n\nStarting server\n", [("warning", "extension-not-built")]),
        (f"Starting server\n{NODE}\n", [("error", "extension-not-built")]),
        (
            f"{RAY}\nshards: 100%|####| 1/1\ntorch.OutOfMemoryError: CUDA out of memory.",
            [("error", "gpu-out-of-memory")],
        ),
        ("10:00 | DEBUG | libcudart.so.11.0: cannot open shared object file: No such file or directory", []),
        # a logger that hands on what a tool says of its own failure
        ('INFO - a.cu(3): error: identifier "THCudaCheck" is undefined', [("error", "thcudacheck")]),
        ("[INFO] ImportError: libcudart.so.11.0: cannot open shared object file", [("error", "libcudart-not-found")]),
    ],
)
def test_what_is_only_told(log: str, found: list[tuple[str, str]]) -> None:
    assert [(finding.severity, finding.id) for finding in read_log(log)] == found


_NOTE = "ERROR: pip's dependency resolver does not currently take into account all the packages that are installed.\n"
_OTHER = "kit 2.1 requires torch<2.5, but you have torch 2.6.0 which is incompatible.\n"


def test_a_note_of_pip_is_nothing_where_the_program_then_worked() -> None:
    assert read_log(f"{_NOTE}{_OTHER}$ python train.py\nepoch 2/2 loss 0.31\nsaved a.pth") == []
    assert read_log(f"{_NOTE}{_OTHER}")[0].id == "version-required"


def test_a_step_of_docker_that_took_long_is_read_as_any_other() -> None:
    # its seconds have no digits behind the point from 1000 on
    log = "#7 [3/4] RUN pip install spam\n#7 8.110   Building wheel for spam (setup.py): started\n"
    log += "#7 9.02   error: <urlopen error [Errno 101] Network is unreachable>\n"
    assert read_log(log)[0].fix == () or "RUN" not in "".join(read_log(log)[0].fix)
    assert read_log(f"{log}#7 1601. Successfully built spam\n#7 1602. Successfully installed spam-1.0\n") == []
