"""A known cause wins over the Python error around it, wherever it stands."""

from __future__ import annotations

import pytest
from doctor.reading import findings

_PYTHON_H = "/tmp/tmpab/main.c:6:10: fatal error: Python.h: No such file or directory\ncompilation terminated."
_CALLED = "CalledProcessError: Command '['/usr/bin/gcc', '/tmp/tmpab/main.c', '-O3', '-I/usr/include/python3.12']' returned non-zero exit status 1."
_TRACEBACK = f'Traceback (most recent call last):\n  File "/e/lib/python3.12/site-packages/triton/runtime/build.py", line 50, in _build\ntorch._inductor.exc.InductorError: {_CALLED}'
_DRIVER = 'INFO:auditwheel.main_repair:Repairing x-1-cp311-cp311-linux_x86_64.whl\nTraceback (most recent call last):\n  File "/o/lib/python3.12/site-packages/auditwheel/repair.py", line 72, in repair_wheel\n'
_REPAIR = '{}ValueError: Cannot repair wheel, because required library "{}" could not be located'
_OMP = "/tmp/torchinductor_u/c.cpp:2:10: fatal error: omp.h: No such file or directory"


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        (f"{_PYTHON_H}\n{_TRACEBACK}", "python-h-missing"),
        (f"{_TRACEBACK}\n{_PYTHON_H}", "python-h-missing"),
        (_TRACEBACK, "python-h-missing"),
        (f"torch._inductor.exc.InductorError: CppCompileError: C++ compile error\n\nOutput:\n{_OMP}", "header-missing"),
        (f"{_OMP}\ntorch._inductor.exc.InductorError: {_CALLED}", "header-missing"),
        (f"/usr/bin/ld: cannot find -lcuda\n{_TRACEBACK}", "library-missing"),
        (
            "torch._inductor.exc.InductorError: InvalidCxxCompiler: No working C++ compiler found in torch._inductor.config.cpp.cxx: (None, 'g++')",
            "compiler-missing",
        ),
        (_REPAIR.format(_DRIVER, "libc10.so"), "wheel-repair"),
        (
            _REPAIR.format(_DRIVER, "libc10.so") + "\nsubprocess.CalledProcessError: Command '['auditwheel', 'repair']' returned non-zero exit status 1.",
            "wheel-repair",
        ),
    ],
)  # fmt: skip
def test_the_known_cause_is_first(log: str, kind: str) -> None:
    assert findings(log)[0].id == kind


@pytest.mark.parametrize(
    ("before", "library", "line"),
    [
        ("", "libcudart.so.12", "auditwheel repair --exclude libcudart.so.12 x-1-cp311-cp311-linux_x86_64.whl"),
        (
            "$ auditwheel repair -w out dist/x-1-cp311-cp311-linux_x86_64.whl\n",
            "libcudart.so.12",
            "auditwheel repair --exclude libcudart.so.12 dist/x-1-cp311-cp311-linux_x86_64.whl",
        ),
        ("cibuildwheel: building\n", "libcudart.so.12", "# --exclude libcudart.so.12"),
        ("", "libopenblas.so.0", "find / -name libopenblas.so.0"),
    ],
)
def test_the_library_stays_outside_of_the_wheel(before: str, library: str, line: str) -> None:
    fix = findings(f"{before}{_REPAIR.format(_DRIVER, library)}")[0].fix
    assert line in fix, fix
