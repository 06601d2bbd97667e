"""The bytes of csrc/common/cpu/tile_instructions.h are those that an assembler makes of the instructions, and the
kernels need no assembler that knows them.
"""

from __future__ import annotations

import platform
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from emulator.build import ROOT, compiler

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="AMX is of x86-64")

#: Each call, and the instruction in the assembler's own words.
INSTRUCTIONS = {
    "configure(from)": "ldtilecfg (%rax)",
    "clear<0>()": "tilezero %tmm0",
    "clear<7>()": "tilezero %tmm7",
    "load<0>(from, stride)": "tileloadd (%rax,%rcx,1),%tmm0",
    "load<7>(from, stride)": "tileloadd (%rax,%rcx,1),%tmm7",
    "store<5>(to, stride)": "tilestored %tmm5,(%rax,%rcx,1)",
    "add_bfloat16<0, 4, 6>()": "tdpbf16ps %tmm6,%tmm4,%tmm0",
    "add_bfloat16<3, 5, 7>()": "tdpbf16ps %tmm7,%tmm5,%tmm3",
    "add_half<1, 4, 7>()": "tdpfp16ps %tmm7,%tmm4,%tmm1",
    "add_half<2, 5, 6>()": "tdpfp16ps %tmm6,%tmm5,%tmm2",
    "release()": "tilerelease",
}


def bytes_of(assembly: str, directory: Path) -> bytes:
    """What the assembler makes of a text; skips the test if it does not know the instructions."""
    text, made, raw = (directory / name for name in ("text.s", "text.o", "text.bin"))
    text.write_text(assembly)
    done = subprocess.run(["as", text, "-o", made], capture_output=True, text=True)
    if "no such instruction" in done.stderr:
        pytest.skip(f"this assembler has {done.stderr.strip().splitlines()[-1].partition('Error: ')[2]}")
    assert done.returncode == 0, done.stderr
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", made, raw], check=True)
    return raw.read_bytes()


@pytest.mark.parametrize("level", ["-O0", "-O3"])
@pytest.mark.skipif(not (shutil.which("as") and shutil.which("objcopy")), reason="needs binutils")
def test_bytes_are_those_of_the_assembler(level: str, tmp_path: Path) -> None:
    calls = "\n".join(f"  tiles::{call};" for call in INSTRUCTIONS)
    source, made = tmp_path / "calls.cpp", tmp_path / "calls.s"
    source.write_text(
        '#include "common/cpu/tile_instructions.h"\n'
        "using namespace dcnbuild::cpu;\n"
        f'extern "C" void calls(const void* from, void* to, int64_t stride) {{\n{calls}\n}}\n'
    )
    subprocess.run(
        [*shlex.split(compiler()), "-std=c++17", level, f"-I{ROOT / 'csrc'}", "-S", source, "-o", made], check=True
    )
    ours = sorted(bytes_of(line, tmp_path) for line in re.findall(r"^\s*\.byte\s+0x[cC]4.*$", made.read_text(), re.M))
    theirs = sorted(bytes_of(f"{text}\n", tmp_path) for text in INSTRUCTIONS.values())
    assert ours == theirs


def test_the_kernels_need_no_assembler_that_knows_tiles(tmp_path: Path) -> None:
    """Ubuntu 22.04 with gcc 13 has one that lacks tdpfp16ps, Ubuntu 20.04 with gcc 11 one that lacks all."""
    made = tmp_path / "kernels.s"
    source = ROOT / "csrc/common/cpu/kernels_amx.cpp"
    command = [*shlex.split(compiler()), "-std=c++17", "-O3", f"-I{ROOT / 'csrc'}", "-S", source, "-o", made]
    subprocess.run(command, check=True)
    text = made.read_text()
    assert "multiply_amx_half" in text
    assert not re.search(r"^\s*(ldtilecfg|sttilecfg|tile[a-z]+|tdp[a-z0-9]+)\b", text, re.M)
