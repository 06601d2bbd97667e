"""Reading shared libraries: against readelf and nm, on real files and on hand-made ones."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from environment.trees import compile_library, write

from dcnbuild.environment.elf import cuda_architectures, needed_libraries, open_elf, run_paths
from dcnbuild.environment.symbols import defined_among, gnu_hash, undefined_symbols

MAGIC = 0xBA55ED50
EXACT, FAMILY, COMPRESSED = 1 << 20, 1 << 21, 1 << 15


def entry(kind: int, number: int, flags: int = 0x11, payload: bytes = b"code" * 4) -> bytes:
    """One entry of a fatbin, with the header that nvcc 13.0 was seen to write."""
    header = struct.pack("<HHIQIIHHIIIQQQ", kind, 0x101, 64, len(payload), 0, 0, 8, 1, number, 0, 0,
                         flags, 0, 0)  # fmt: skip
    assert len(header) == 64
    return header + payload


def fatbin(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return struct.pack("<IHHQ", MAGIC, 1, 16, len(body)) + body


def library_with(tmp_path: Path, content: bytes) -> Path:
    """A real shared library whose .nv_fatbin section holds this."""
    data = write(tmp_path / "fatbin.bin", content)
    source = f'__asm__(".section .nv_fatbin,\\"a\\"\\n.incbin \\"{data}\\"\\n.text\\n");'
    return compile_library(tmp_path / "lib.so", source)


def test_each_kind_of_entry(tmp_path: Path) -> None:
    content = fatbin(
        entry(2, 75),
        entry(2, 90, 0x11 | EXACT),
        entry(2, 100, 0x11 | FAMILY),
        entry(2, 120, 0x11 | COMPRESSED),
        entry(1, 120, 0x11 | COMPRESSED),
        entry(1, 90, 0x11 | EXACT),
    )
    assert cuda_architectures(library_with(tmp_path, content)) == (
        "sm_75",
        "sm_90a",
        "compute_90a",
        "sm_100f",
        "sm_120",
        "compute_120",
    )


def test_several_containers_with_padding_between(tmp_path: Path) -> None:
    content = fatbin(entry(2, 80)) + bytes(24) + fatbin() + fatbin(entry(2, 86), entry(2, 80))
    assert cuda_architectures(library_with(tmp_path, content)) == ("sm_80", "sm_86")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        struct.pack("<IHHQ", MAGIC, 1, 16, 1 << 62),
        struct.pack("<IHHQ", MAGIC, 1, 0, 0) * 3,
        fatbin(entry(2, 75))[:-20],
        fatbin(bytes(64)),
        fatbin(entry(7, 75)),
        fatbin(entry(2, 1 << 31)),
    ],
)
def test_damaged_containers_end_the_reading(tmp_path: Path, content: bytes) -> None:
    assert set(cuda_architectures(library_with(tmp_path, content))) <= {"sm_75"}


def test_a_library_without_gpu_code(tmp_path: Path) -> None:
    assert cuda_architectures(compile_library(tmp_path / "a.so", "int f(void) { return 1; }")) == ()


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(60), b"text" * 99])
def test_what_is_no_elf_file(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "x.so", content)
    assert cuda_architectures(path) == needed_libraries(path) == run_paths(path) == ()
    assert undefined_symbols(path) == ()
    assert not defined_among(path, ("f",))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with open_elf(tmp_path / "absent.so") as elf:
        assert elf is None


@pytest.mark.slow
def test_nvccs_own_files_hold_what_was_asked_for(tmp_path: Path) -> None:
    """Compiled with each flavour of -gencode that the nvcc at hand knows."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on PATH")
    known = subprocess.run([nvcc, "--list-gpu-code"], capture_output=True, text=True, check=True)
    wanted = ["compute_90", *{"sm_75", "sm_90"} & set(known.stdout.split())]
    if "sm_120" in known.stdout:
        wanted += ["sm_90a", "sm_120a"]
    source = write(tmp_path / "k.cu", "__global__ void k(float* x) { x[threadIdx.x] *= 2; }\n")
    codes = [f"-gencode=arch=compute_{code.split('_')[1]},code={code}" for code in wanted]
    subprocess.run(
        [nvcc, "-shared", "-Xcompiler", "-fPIC", *codes, source, "-o", tmp_path / "lib.so"],
        check=True,
    )
    assert set(cuda_architectures(tmp_path / "lib.so")) == set(wanted)


def test_torchs_own_library_was_compiled_for_what_torch_says(torch_itself: dict[str, Any]) -> None:
    library = Path(torch_itself["file"]).parent / "lib/libtorch_cuda_linalg.so"
    if not library.exists():
        pytest.skip("this torch has no CUDA library")
    found = {name for name in cuda_architectures(library) if name[-1].isdigit()}
    assert found
    assert found <= set(torch_itself["architectures"])


def test_needed_libraries_and_run_paths_are_readelfs(tmp_path: Path) -> None:
    compile_library(tmp_path / "libother.so", "int g(void) { return 2; }")
    library = compile_library(
        tmp_path / "lib.so",
        "int g(void); int f(void) { return g(); }",
        f"-L{tmp_path}",
        "-lother",
        "-lm",
        "-Wl,--no-as-needed",
        "-Wl,-rpath,$ORIGIN/../x:/y",
    )
    shown = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True)
    expected = re.findall(r"\(NEEDED\).*\[(.*)\]", shown.stdout)
    assert list(needed_libraries(library)) == expected
    assert "libother.so" in expected
    assert run_paths(library) == (tmp_path / "../x", Path("/y"))


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
