"""Tests the poolings against plain loops and the plain-torch reference, and every derivative numerically."""

from __future__ import annotations

import pytest
import torch
from ops.cases import assert_close
from ops.pooling_cases import ADAPTIVE, CASES, PSROI, ROI, PoolCase, gradients, random_case

import dcnbuild


@pytest.mark.parametrize("block", range(4))
def test_random_configurations_agree_with_plain_loops(block: int, device: str) -> None:
    for seed in range(50 * block, 50 * (block + 1)):
        case = random_case(seed)
        tensors = case.tensors(seed, torch.float64, device)
        actual = gradients(case.operate, tensors)
        on_cpu = {name: None if t is None else t.cpu() for name, t in tensors.items()}
        naive = case.naive(**on_cpu)  # type: ignore[arg-type]
        torch.testing.assert_close(actual["output"].cpu(), naive, rtol=0, atol=1e-11)
        assert_close(actual, gradients(case.reference, tensors), 1e-11, (seed, case))


def test_single_precision_agrees_with_double(device: str) -> None:
    """Moved RoIs: others lie on whole pixels, where rounding decides whether a sample counts and what its derivative
    is.
    """
    compared = 0
    for seed in range(120):
        case = random_case(seed)
        if not case.moved or case.pooling.offset_scale == 0:
            continue
        single = case.tensors(seed, torch.float32, device)
        double = {name: None if t is None else t.double() for name, t in single.items()}
        actual = {name: t.double() for name, t in gradients(case.operate, single).items()}
        assert_close(actual, gradients(case.operate, double), 1e-4, (seed, case))
        compared += 1
    assert compared > 40


@pytest.mark.parametrize("float_positions", [False, True], ids=["half", "float"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("case", [PSROI, ROI, ADAPTIVE], ids=["psroi", "roi", "adaptive"])
def test_half_types_are_summed_in_float32(
    case: PoolCase, dtype: torch.dtype, float_positions: bool, device: str
) -> None:
    tensors = case.tensors(3, dtype, device)
    if float_positions:
        tensors.update({n: t for n, t in case.tensors(3, torch.float32, device).items() if n != "input"})
    exact = {name: None if t is None else t.double() for name, t in tensors.items()}
    actual = gradients(case.operate, tensors)
    assert actual["grad_offset"].dtype == (torch.float32 if float_positions else dtype)
    assert actual["output"].dtype == actual["grad_input"].dtype == dtype
    # The upstream gradient differs by its rounding too.
    tolerance = 8 * torch.finfo(dtype).eps
    assert_close({n: t.double() for n, t in actual.items()}, gradients(case.operate, exact), tolerance)


def test_many_rois_are_summed_in_float32(device: str) -> None:
    """4,096 times 1/4 on one pixel is beyond what float16 can add up one by one."""
    x = torch.zeros(1, 1, 2, 2, dtype=torch.float16, device=device, requires_grad=True)
    rois = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0]], dtype=torch.float16, device=device)
    pooled = dcnbuild.deform_psroi_pool(x, rois.repeat(4096, 1), spatial_scale=1.0, pooled_size=1, sample_per_part=1)
    (grad,) = torch.autograd.grad(pooled, x, torch.full_like(pooled, 0.25))
    assert grad[0, 0].tolist() == [[1024, 0], [0, 0]]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_bits(threads: int) -> None:
    before = torch.get_num_threads()
    for case in (PSROI, ADAPTIVE):
        tensors = case.tensors(0, torch.float32)
        expected = gradients(case.operate, tensors)
        try:
            torch.set_num_threads(threads)
            actual = gradients(case.operate, tensors)
        finally:
            torch.set_num_threads(before)
        assert all(torch.equal(actual[name], expected[name]) for name in expected)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
class TestDerivatives:
    """RoIs that cross the border, are empty or turned over included."""

    def _inputs(self, case: PoolCase, device: str):  # type: ignore[no-untyped-def]
        small = PoolCase(case.operator, case.attributes, 2, case.classes, (4, 5), 2, 4, case.moved)
        t = small.tensors(5, device=device)
        assert t["input"] is not None
        leaves = [t["input"].requires_grad_()]
        if t["offset"] is None:
            return (lambda x: small.operate(x, t["rois"], None)), leaves  # type: ignore[arg-type]
        leaves.append(t["offset"].requires_grad_())
        return (lambda x, o: small.operate(x, t["rois"], o)), leaves  # type: ignore[arg-type]

    def test_backward(self, case: PoolCase, device: str) -> None:
        function, leaves = self._inputs(case, device)
        slack = 0.0 if device == "cpu" else 1e-10
        assert torch.autograd.gradcheck(function, leaves, nondet_tol=slack)

    def test_forward_mode(self, case: PoolCase, device: str) -> None:
        function, leaves = self._inputs(case, device)
        assert torch.autograd.gradcheck(
            function, leaves, fast_mode=True, check_forward_ad=True, check_backward_ad=False
        )

    def test_double_backward(self, case: PoolCase, device: str) -> None:
        function, leaves = self._inputs(case, device)
        assert torch.autograd.gradgradcheck(function, leaves, fast_mode=True, check_fwd_over_rev=True, nondet_tol=1e-10)
