"""Reading the symbols of shared libraries: against nm, on real files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from machine.trees import compile_library

from dcnbuild.machine.symbols import defined_among, gnu_hash, undefined_symbols


def test_symbols_are_nms(tmp_path: Path) -> None:
    functions = "".join(f"int f{i}(void) {{ return {i}; }}\n" for i in range(300))
    library = compile_library(
        tmp_path / "lib.so",
        functions + "extern int far_away(int); extern int __attribute__((weak)) maybe(void);\n"
        "int h(void) { return far_away(1) + (maybe ? maybe() : 0); }",
    )
    shown = subprocess.run(["nm", "-D", library], capture_output=True, text=True, check=True).stdout
    undefined = set(re.findall(r"^ +U (\w+)", shown, re.MULTILINE))
    assert {name.partition("@")[0] for name in undefined} == set(undefined_symbols(library))
    assert "far_away" in undefined_symbols(library)
    names = (*(f"f{i}" for i in range(310)), "far_away", "maybe", "h", "nothing")
    defined = {name for name in names if re.search(rf" T {name}$", shown, re.MULTILINE)}
    assert len(defined) == 301
    assert defined_among(library, names) == defined


def test_torchs_names_are_found_in_torch(torch_itself: dict[str, Any]) -> None:
    """Every name that libtorch_python needs from libc10 is there: the hash lookup loses none."""
    lib = Path(torch_itself["file"]).parent / "lib"
    shown = subprocess.run(
        ["nm", "-D", "--defined-only", lib / "libc10.so"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    exported = {line.split()[-1] for line in shown.splitlines()}
    needed = {name for name in undefined_symbols(lib / "libtorch_python.so") if name in exported}
    assert len(needed) > 20
    assert defined_among(lib / "libc10.so", tuple(needed)) == needed


def test_the_hash_is_the_one_of_the_format() -> None:
    # values from the description of DT_GNU_HASH
    assert gnu_hash("") == 0x00001505
    assert gnu_hash("printf") == 0x156B2BB8
    assert gnu_hash("exit") == 0x7C967E3F
    assert gnu_hash("syscall") == 0xBAC212A0
