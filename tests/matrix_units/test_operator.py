"""The whole operator at every level of x86-64, on a library that is compiled with stand-ins for the instructions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from matrix_units.build import CXX, environment, has_avx2

pytest.importorskip("torch")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_avx2(), reason="the stand-ins need a CPU with AVX2"),
]

LIBRARY = """
import ctypes, sys
from dcnbuild.builder import native

native.ensure("cpu")
isa = ctypes.CDLL(str(native.status("cpu").library)).dcnbuild_cpu_isa
isa.restype = ctypes.c_char_p
"""

PROBE = """
import os
from matrix_units.levels import check
check(os.environ["DCNBUILD_CPU_ISA"])
"""


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that has the library."""
    path = tmp_path_factory.mktemp("cache")
    done = run(path, LIBRARY, DCNBUILD_CPU_ISA="generic")
    assert done.returncode == 0, done.stdout + done.stderr
    return path


def run(cache: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    tests = str(Path(__file__).parents[1])
    path = os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])
    env = environment(CXX=str(CXX), DCNBUILD_ROUTE="jit", DCNBUILD_CACHE=str(cache), PYTHONPATH=path, **variables)
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["avx512bf16", "amx", "amx_fp16"])
def test_agrees_with_the_reference(cache: Path, name: str) -> None:
    done = run(cache, LIBRARY + PROBE, DCNBUILD_CPU_ISA=name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("best", ["amx_fp16", "amx", "avx512bf16", "avx512", "avx2"])
def test_the_best_that_is_there_serves(cache: Path, best: str) -> None:
    code = LIBRARY + "print(isa().decode())"
    done = run(cache, code, DCNBUILD_STAND_IN_HAS=best, DCNBUILD_CPU_ISA="")
    assert (done.returncode, done.stdout) == (0, f"{best}\n"), done.stderr


@pytest.mark.parametrize(("has", "serves"), [("amx", "amx"), ("avx512bf16", "avx512")])
def test_intels_products_of_pairs_are_left_alone(cache: Path, has: str, serves: str) -> None:
    code = LIBRARY + "print(isa().decode())"
    done = run(cache, code, DCNBUILD_STAND_IN_HAS=has, DCNBUILD_CPU_ISA="", DCNBUILD_STAND_IN_INTEL="1")
    assert (done.returncode, done.stdout) == (0, f"{serves}\n"), done.stderr
