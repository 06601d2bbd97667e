"""Reading shared libraries: against readelf and nm, on real files and on hand-made ones."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machine.trees import compile_library, write

from dcnbuild.machine import files
from dcnbuild.machine.elf import cuda_architectures, needed_libraries, open_elf, run_paths
from dcnbuild.machine.libraries import read_library
from dcnbuild.machine.symbols import defined_among, needed_versions, undefined_symbols

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


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small library with everything that is read: needs, run paths, symbols, GPU code."""
    directory = tmp_path_factory.mktemp("whole")
    data = write(directory / "fatbin.bin", fatbin(entry(2, 75)) + fatbin(entry(1, 90)))
    source = (
        f'__asm__(".section .nv_fatbin,\\"a\\"\\n.incbin \\"{data}\\"\\n.text\\n");'
        "int g(void); int f(void) { return g(); }"
    )
    path = compile_library(directory / "lib.so", source, "-lm", "-Wl,-rpath,$ORIGIN/x:/y", "-s")
    return path.read_bytes()


def read_everything(path: Path, content: bytes) -> None:
    """Reads a damaged library by all that reads libraries; nothing may be raised."""
    path.write_bytes(content)
    assert all(name.startswith(("sm_", "compute_")) for name in cuda_architectures(path))
    versions = [text for pair in needed_versions(path) for text in pair]
    for texts in (needed_libraries(path), undefined_symbols(path), versions):
        assert sum(map(len, texts)) <= 4 * len(content) + (1 << 16)
    run_paths(path)
    assert (defined_among(path, ("f", "g", "nothing")) or set()) <= {"f", "g", "nothing"}
    read_library(path, {}, None)


NUMBERS = st.sampled_from([0, 1, 7, 63, 64, 255, 256, 1 << 16, (1 << 32) - 1, 1 << 63, (1 << 64) - 1])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_ends_in_an_answer(whole: bytes, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(whole)
    (table,) = struct.unpack_from("<Q", whole, 40)
    places = st.one_of(st.integers(0, 64), st.integers(table, len(whole) - 1), st.integers(0, len(whole) - 1))
    for at in data.draw(st.lists(places, max_size=6)):
        number = data.draw(st.one_of(NUMBERS, st.integers(0, (1 << 64) - 1)))
        size = data.draw(st.sampled_from([1, 2, 4, 8]))
        content[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "little")
    length = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    read_everything(tmp_path / "damaged.so", bytes(content[:length]))


def test_every_number_of_the_headers_at_its_limits(whole: bytes, tmp_path: Path) -> None:
    (table, count) = struct.unpack_from("<40xQ12xH", whole)
    assert count > 10
    places = [*range(32, 64, 2), *range(table, table + count * 64, 8)]
    for at in places:
        for value in (0xFF, 0x00, 0x7F):
            content = bytearray(whole)
            content[at : at + 8] = bytes([value]) * len(content[at : at + 8])
            read_everything(tmp_path / "damaged.so", bytes(content))


def elf_of(sections: list[tuple[int, int, int, int, int]], body: bytes) -> bytes:
    """An ELF file: header, body, and section headers of (name, type, offset, size, link)."""
    table = 64 + len(body)
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, len(sections), 0
    )  # fmt: skip
    rows = (
        struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, size, link, 0, 8, 16)
        for name, kind, offset, size, link in sections
    )
    return header + body + b"".join(rows)


@pytest.mark.parametrize("kind", [1, 6, 11])
def test_memory_is_proportional_to_the_file(kind: int, tmp_path: Path) -> None:
    """Each section's name, each entry's text and each symbol's is all the rest of the file."""
    text = b"a" * (1 << 17)
    entries = struct.pack("<QQ", 1, 0) * 4000 + struct.pack("<IBBHQQ", 0, 16, 0, 0, 0, 0) * 2000
    names = 64 + len(entries)
    body = entries + text + b"\0"
    sections = [(0, 3, names, len(text) + 1, 0)] + [(1, kind, 64, 64000, 0)] * 2000
    path = write(tmp_path / "lib.so", elf_of(sections, body))
    tracemalloc.start()
    try:
        read_everything(path, path.read_bytes())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * path.stat().st_size


def test_texts_that_overlap_are_not_kept_without_end(tmp_path: Path) -> None:
    text = b"a" * 60000 + b"\0"
    body = text + b"".join(struct.pack("<QQ", 1, at) for at in range(3000))
    path = write(
        tmp_path / "lib.so",
        elf_of([(0, 3, 64, len(text), 0), (0, 6, 64 + len(text), 48000, 0)], body),
    )
    assert needed_libraries(path) == ()


@pytest.mark.parametrize("offset", [64, 10**11, (1 << 64) - 1])
def test_a_section_that_reaches_beyond_the_file(offset: int, tmp_path: Path) -> None:
    path = write(tmp_path / "lib.so", elf_of([(0, 0, 0, 0, 0), (0, 6, offset, 10**6, 0)], b""))
    assert not read_library(path, {}, None).readable


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lib.so")
    assert not read_library(tmp_path / "lib.so", {}, None).readable
    assert files.read_text(tmp_path / "lib.so") is None


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
