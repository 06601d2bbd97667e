"""Builds what runs the kernels for half types without their instructions: stand_in.h replaces those by functions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from emulator.build import ADDRESS_FLAGS, ROOT, compiler
from emulator.faults import AWAKE, seeded
from matrix_units.faults import FAULTS

HERE = Path(__file__).resolve().parent
CXX = HERE / "cxx"
#: Floating-point contraction off: the same sums at every optimisation level.
FLAGS = ("-std=c++17", "-O1", "-g1", "-ffp-contract=off", "-Wall", "-Wextra")
SOURCES = ("common/cpu/kernels_amx.cpp", "common/cpu/kernels_avx512bf16.cpp")


def has_avx2() -> bool:
    """Whether this CPU has what stand-ins are made of."""
    cpu = Path("/proc/cpuinfo")
    flags = re.search(r"^flags\s*:(.*)$", cpu.read_text(), re.MULTILINE) if cpu.is_file() else None
    return flags is not None and {"avx2", "fma", "f16c"} <= set(flags[1].split())


def environment(**variables: str) -> Mapping[str, str]:
    """This process's variables, with the compiler that cxx calls and some more."""
    return {**os.environ, "DCNBUILD_STAND_IN_CXX": compiler(), **variables}


def build_check(into: Path) -> Path:
    """check.cpp with AddressSanitizer and UndefinedBehaviorSanitizer, and with every fault asleep in the kernels.

    Raises CalledProcessError if the compiler fails; it has printed why.
    """
    csrc, program = into / "csrc", into / "check"
    shutil.copytree(ROOT / "csrc", csrc)
    for number, fault in enumerate(FAULTS, 1):
        path = csrc / fault.file
        path.write_text(seeded(path.read_text(), fault, number))
    (into / "awake.h").write_text(AWAKE)
    command = [str(CXX), *FLAGS, *ADDRESS_FLAGS, f"-include{into / 'awake.h'}"]
    checks = HERE.with_name("cpu_kernels")
    includes = (f"-I{csrc}", f"-I{HERE}", f"-I{checks}")
    sources = (str(HERE / "check.cpp"), str(checks / "matrix.cpp"), *(str(csrc / name) for name in SOURCES))
    subprocess.run([*command, *includes, *sources, "-o", str(program)], env=environment(), check=True)
    return program
