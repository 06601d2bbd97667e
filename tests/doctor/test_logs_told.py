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
