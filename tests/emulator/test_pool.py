"""The poolings' CUDA kernels, run on the CPU, against the CPU kernels and the plain-torch reference."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from ops.cases import assert_close
from ops.pooling_cases import ADAPTIVE, PSROI, ROI, PoolCase, pool_far_right, random_case
from torch import Tensor

from dcnbuild.ops.reference import deform_pool

ORDERS = ("forward", "reversed", "shuffled")
KINDS = {"psroi": PSROI, "roi": ROI, "adaptive": ADAPTIVE}


def _results(namespace: Any, case: PoolCase, tensors: dict[str, Any], deterministic: bool) -> dict[str, Tensor]:
    output = getattr(namespace, case.operator)(*tensors.values(), *case.attributes)
    generator = torch.Generator().manual_seed(1)
    upstream = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output)
    grads = getattr(namespace, f"{case.operator}_backward")(
        upstream, *tensors.values(), *case.attributes, [True, case.moved], deterministic
    )
    return {"output": output, "grad_input": grads[0], "grad_offset": grads[1]}


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("block", range(4))
def test_random_configurations(block: int, deterministic: bool, emulator: ModuleType) -> None:
    """Random configurations agree in every order of threads; every other one has a channels_last input."""
    for seed in range(50 * block, 50 * (block + 1)):
        emulator.configure(ORDERS[seed % len(ORDERS)], seed)
        case = random_case(seed)
        tensors: dict[str, Any] = dict(case.tensors(seed))
        if seed % 2:
            tensors["input"] = tensors["input"].to(memory_format=torch.channels_last)
        actual = _results(torch.ops.dcnbuild_emulated, case, tensors, deterministic)
        expected = _results(torch.ops.dcnbuild, case, tensors, deterministic)
        assert_close(actual, expected, 1e-11, (seed, case))
        reference = deform_pool.forward(**tensors, p=case.pooling)
        torch.testing.assert_close(actual["output"], reference, rtol=0, atol=1e-11)


@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_the_deterministic_route_has_the_same_bits_in_every_order(case: PoolCase, emulator: ModuleType) -> None:
    many = replace(case, rois=12)
    tensors = many.tensors(0, torch.float32)
    orders = [("forward", 0), ("reversed", 0), *(("shuffled", seed) for seed in range(3))]

    def gradients(deterministic: bool) -> list[Tensor]:
        found = []
        for order, seed in orders:
            emulator.configure(order, seed)
            results = _results(torch.ops.dcnbuild_emulated, many, tensors, deterministic)
            found.append(torch.cat([results["grad_input"].ravel(), results["grad_offset"].ravel()]))
        return found

    first, *others = gradients(True)
    assert all(torch.equal(first, other) for other in others)
    first, *others = gradients(False)
    assert not all(torch.equal(first, other) for other in others), "or this could not fail"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_other_dtypes(case: PoolCase, dtype: torch.dtype) -> None:
    for seed in range(10):
        tensors = case.tensors(seed, dtype)
        actual = _results(torch.ops.dcnbuild_emulated, case, tensors, False)
        expected = _results(torch.ops.dcnbuild, case, tensors, False)
        assert all(actual[name].dtype == value.dtype for name, value in expected.items())
        wide = [{n: t.double() for n, t in result.items()} for result in (actual, expected)]
        assert_close(wide[0], wide[1], 16 * torch.finfo(dtype).eps, seed)


@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_what_has_no_place_is_nan_and_touches_no_pixel(case: PoolCase) -> None:
    tensors = case.tensors(0)
    rois, offset = tensors["rois"], tensors["offset"]
    assert rois is not None and offset is not None
    rois[0, 0], rois[1, 0], rois[2, 3] = 2.0, -1.0, math.inf
    offset[3, 0, 0, 0] = math.nan
    for deterministic in (False, True):
        result = _results(torch.ops.dcnbuild_emulated, case, tensors, deterministic)
        assert result["output"][:3].isnan().all() and result["grad_offset"][:3].isnan().all()
        assert result["output"][3, 0, 0, 0].isnan() and result["output"][4].isfinite().all()
        assert result["grad_input"].isfinite().all()


@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_more_channels_than_threads(case: PoolCase) -> None:
    """More channels than threads need several blocks for a RoI, or several channels for a thread."""
    wide = PoolCase(case.operator, case.attributes, 600, 2 if case is PSROI else 1, rois=3)
    tensors = wide.tensors(0)
    actual = _results(torch.ops.dcnbuild_emulated, wide, tensors, False)
    assert_close(actual, _results(torch.ops.dcnbuild, wide, tensors, False), 1e-11)


def test_nothing_to_pool_launches_nothing(emulator: ModuleType) -> None:
    tensors = {name: None if t is None else t[:0] if name != "input" else t for name, t in ROI.tensors().items()}
    emulator.take_launches()
    result = _results(torch.ops.dcnbuild_emulated, ROI, tensors, False)
    assert result["output"].shape == (0, 4, 3, 2) and (result["grad_input"] == 0).all()
    assert not emulator.take_launches()


@pytest.mark.parametrize("deterministic", [False, True])
def test_beyond_2_24_pixels(deterministic: bool) -> None:
    def call(case: PoolCase, *tensors: Any) -> tuple[Tensor, Tensor]:
        operators = torch.ops.dcnbuild_emulated
        output = getattr(operators, case.operator)(*tensors, *case.attributes)
        backward = getattr(operators, f"{case.operator}_backward")
        ones, wanted = torch.ones_like(output), [True, False]
        return output, backward(ones, *tensors, *case.attributes, wanted, deterministic)[0]

    pool_far_right(call)
