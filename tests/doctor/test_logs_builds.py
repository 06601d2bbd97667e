"""Tests that a fix of a build gives the whole command again, in the environment that failed, and reads what it shows."""

from __future__ import annotations

import pytest
from doctor.reading import findings


def fix(log: str) -> list[str]:
    """The lines of the first finding's fix."""
    return list(findings(log)[0].fix)


_GLIBC = (
    "/usr/include/bits/mathcalls.h(79): error: exception specification is incompatible with that of previous function "
    '"cospi" (declared at line 2601 of /usr/local/cuda-12.9/include/crt/math_functions.h)\nmake: *** [a.o] Error 2'
)
_THC = "src/a.cu:4:10: fatal error: THC/THC.h: No such file or directory"


@pytest.mark.parametrize(
    ("typed", "said", "again"),
    [
        ("u@h:~/x/build$ cmake .. && make -j8", _GLIBC, "cmake .. && make -j8"),
        ("u@h:~/x$ mkdir build && cd build && cmake .. && make -j$(nproc)", _GLIBC, "cmake .. && make -j$(nproc)"),
        ("u@h:~/x$ rm -rf build && mkdir build && cd build && cmake ..", _GLIBC, "cmake .."),
        ("u@h:~/x$ rm -rf build && cmake -B build && ninja -C build", _GLIBC, None),
        ("u@h:~/x$ cmake -B build \\\n  -DA=1 && cmake --build build", _GLIBC, "cmake -B build -DA=1 && cmake --build build"),
        ("u@h:~/x$ cmake ..; make -j4", _GLIBC, "cmake ..; make -j4"),
        ("u@h:~/x$ make clean && make", _THC, "make clean && make"),
        ("u@h:~/x$ python setup.py clean && python setup.py install", _THC, None),
        ("u@h:~$ cd x && python setup.py build_ext --inplace", _THC, "python setup.py build_ext --inplace"),
        ("u@h:~$ git clone https://github.com/a/b && cd b && bash make.sh", _THC, "bash make.sh"),
        ("C:\\x\\build> cmake .. && nmake", f"C:\\x\\a.cu(4): {_THC[14:]}", "cmake .. && nmake"),
        ("[4]  !cd /content/x && python setup.py install", _THC, "!cd /content/x && python setup.py install"),
        ("u@h:~/x$ make -j$(($(nproc)-1))", _THC, "# Then run the same command again"),
    ],
)
def test_a_build_is_started_again_by_the_whole_line(typed: str, said: str, again: str | None) -> None:
    assert (again or typed.partition("$ ")[2]) in fix(f"{typed}\n{said}")


def test_no_header_of_the_system_lies_in_the_project() -> None:
    assert not any("/usr/include" in line for line in fix(f"-- The CUDA compiler is nvcc\n{_GLIBC}"))
