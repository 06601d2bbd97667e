"""Tests the parser of nvcc's output, and the limits, on made-up texts and kernels, without a toolkit."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from nvcc.kernel import Kernel, parse_ptxas, parse_sass
from nvcc.limits import ADDING_KERNELS, KERNELS, SPILLS, VECTOR_KERNELS, violations
from nvcc.report import details, summary

GATHER = "_ZN8dcnbuild4cuda21gather_columns_kernelIffLi4EEEvNS0_5ChunkIT_T0_EENS0_10SampleGridEiPS3_"


def test_the_output_of_ptxas_is_read() -> None:
    text = (
        f"ptxas info    : Compiling entry function '{GATHER}' for 'sm_90'\n"
        f"ptxas info    : Function properties for {GATHER}\n"
        "    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n"
        "ptxas info    : Used 51 registers, used 1 barriers, 8 bytes cumulative stack size, 6144 bytes smem\n"
    )
    assert parse_ptxas(text) == {GATHER: Kernel("gather_columns_kernel<float, float, 4>", "sm_90", 51, 8, 16, 6144)}


def test_memory_instructions_are_counted() -> None:
    sass = (
        f"\t\tFunction : {GATHER}\n"
        "        /*0a10*/              @!P0 LDG.E.128.CONSTANT R4, desc[UR8][R2.64] ;   /* 0x0 */\n"
        "        /*0a20*/                   FADD R4, R4, R5 ;   /* 0x0 */\n"
        "        /*0a30*/                   STL [R1], R4 ;   /* 0x0 */\n"
    )
    assert parse_sass(sass) == {GATHER: Counter({"LDG.E.128.CONSTANT": 1, "STL": 1})}


@pytest.mark.parametrize(
    ("architecture", "registers", "shared", "occupancy"),
    [
        ("sm_90", 51, 6144, 0.5),  # 1,792 registers for a warp: 4 blocks of 8 warps
        ("sm_90", 64, 0, 0.5),
        ("sm_90", 65, 0, 0.375),  # 3 blocks
        ("sm_90", 32, 0, 1.0),
        ("sm_120", 64, 0, 4 / 6),
        ("sm_90", 32, 60 << 10, 0.375),  # 3 blocks in 228 KB
        ("sm_999", 32, 0, None),
    ],
)
def test_occupancy(architecture: str, registers: int, shared: int, occupancy: float | None) -> None:
    assert Kernel("k<float>", architecture, registers, 0, 0, shared).occupancy() == occupancy


def good(architecture: str = "sm_90") -> dict[str, Kernel]:
    """Kernels that keep to every limit."""
    atomic = "REDG.E.ADD.F32x4.FTZ.RN.STRONG.GPU" if architecture == "sm_90" else "RED.E.ADD.F32"
    kernels = {name: Kernel(f"{name}<float, float>", architecture, 32, 0, 0, 0) for name in KERNELS}
    for name in VECTOR_KERNELS:
        instructions = Counter({"LDG.E.128": 4, "STG.E.128": 1})
        if name in ADDING_KERNELS:
            instructions[atomic] = 4
        kernels[name] = Kernel(f"{name}<float, float, 4>", architecture, 50, 0, 0, 0, instructions)
    return kernels


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_good_kernels_break_no_limit(architecture: str) -> None:
    assert violations(list(good(architecture).values()), "13.0") == []


def test_an_old_toolkit_adds_single_floats() -> None:
    """The good kernels of sm_90 add four at once."""
    found = violations(list(good("sm_90").values()), "11.8")
    assert len(found) == len(ADDING_KERNELS) and all("adds to memory four floats" in text for text in found)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("pool_kernel", {"spills": 8}, "spills 8 bytes"),
        ("pool_kernel", {"stack": 16}, "stack of 16"),
        ("pool_kernel", {"registers": 65}, "fill only 38%"),
        ("pool_kernel", {"instructions": Counter({"LDL.64": 1})}, "local memory"),
        ("gather_columns_kernel", {"instructions": Counter({"LDG.E.128": 3})}, "not load 16 bytes"),
        ("gather_columns_kernel", {"instructions": Counter({"LDG.E.128": 4})}, "not store 16"),
        ("gather_columns_kernel", {"name": "gather_columns_kernel<float, float, 1>"}, "no vector"),
        ("sum_tiles_kernel", {"instructions": Counter()}, "does not load 16 bytes"),
        ("column_gradients_kernel", {"architecture": "sm_80"}, "adds to memory four floats"),
        ("attn_gradients_kernel", {"architecture": "sm_80"}, "adds to memory four floats"),
        ("attn_kernel", {"instructions": Counter({"LDG.E.128": 4})}, "not store 16"),
    ],
)
def test_what_breaks_a_limit_is_named(name: str, changes: dict[str, object], words: str) -> None:
    kernels = good()
    kernels[name] = replace(kernels[name], **changes)
    assert any(words in text and name in text for text in violations(list(kernels.values()), "13.0"))


def test_what_an_old_toolkit_may_spill() -> None:
    """And no more, nor any other kernel or toolkit."""
    (name, major), least = next(iter(SPILLS.items()))
    for spilt, toolkit, known in (
        (least, f"{major}.8", True),
        (least + 8, f"{major}.8", False),
        (least, "13.0", False),
    ):
        kernels = good()
        kernels[name] = replace(kernels[name], spills=spilt)
        assert any("spills" in text for text in violations(list(kernels.values()), toolkit)) != known


def test_a_kernel_that_was_not_compiled_is_named() -> None:
    kernels = good()
    del kernels["join_tiles_kernel"]
    assert violations(list(kernels.values()), "13.0") == ["join_tiles_kernel was not compiled"]


def test_tables() -> None:
    kernels = list(good().values())
    assert "| sm_90 | 14 | 50 | 50% | 0 | 0 | 0 |" in summary({"sm_90": kernels})
    row = "| `gather_columns_kernel<float, float, 4>` | sm_90 | 50 | 50% | 0 | 4 | 1 |  |"
    assert row in details({"sm_90": kernels})
