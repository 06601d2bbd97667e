"""Compiles the fused kernels for one GPU; report.py does so for the others."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
from fused import report
from fused.report import Compiled

from dcnbuild.ops.fused.configs import Config

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="no triton to compile with")
TILE = Config(64, 64, 32)
GOOD = Compiled("forward", "fp16", "sm_90", TILE, 0, 200, 0, 40_000, 2)


def test_what_breaks_a_limit() -> None:
    assert list(GOOD.violations()) == []
    bad = Compiled("forward", "fp16", "sm_90", TILE, 0, 255, 400, 120_000, 0)
    assert [text.partition(": ")[2].split()[0] for text in bad.violations()] == [
        *("no", "120000", "400"),
    ]


def test_a_later_tile_may_take_what_its_gpu_has() -> None:
    """The first tile must fit every GPU; one that lacks the memory of a later tile leaves it out."""
    later = replace(GOOD, place=1, shared=120_000)
    assert list(later.violations()) == []
    assert [*replace(later, place=0).violations(), *replace(later, architecture="sm_120").violations()] == [
        "forward fp16 sm_90 64x64x32: 120000 bytes of shared memory, of 101376",
        "forward fp16 sm_120 64x64x32: 120000 bytes of shared memory, of 101376",
    ]


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["forward", "samples", "weight"])
def test_counts_and_strides_of_one_compile_too(kernel: str) -> None:
    made = report.compile_kernel(kernel, "fp16", 2, "ieee", "sm_80", ones=True)
    assert made.products > 0 and made.stack <= report.STACK


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("dtype", report.DTYPES[::2], ids=lambda dtype: dtype[0])
@pytest.mark.parametrize("kernel", ["forward", "samples", "weight"])
def test_a_kernel_uses_tensor_cores_and_keeps_to_registers(kernel: str, dtype: tuple[str, int, str]) -> None:
    made = report.compile_kernel(kernel, *dtype, "sm_90")
    assert list(made.violations()) == []
    assert made.registers > 0 and made.shared > 0
