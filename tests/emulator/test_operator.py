"""Runs tests/ops again, on the emulated kernels."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from ops.cases import assert_close, random_case, run
from ops.not_finite_cases import SETS, SHAPES, assert_same, results_of, wild_call
from ops.test_agreement import (  # noqa: F401
    test_half_types_agree_with_float64_to_their_own_precision,
    test_larger_than_one_tile,
)
from ops.test_bad_input import *  # noqa: F403
from ops.test_bad_raw_calls import (  # noqa: F401
    test_functions_refuse_a_meta_tensor_beside_others,
    test_functions_refuse_nested_tensors,
    test_sizes_whose_product_overflows,
)
from ops.test_edge_cases import *  # noqa: F403
from ops.test_gradcheck import *  # noqa: F403

import dcnbuild

COLUMN_BYTES = (1, 1000, 20_000, 16 << 20)
ORDERS = ("forward", "reversed", "shuffled")


TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 1e-5,
    # Column gradients are half, and a mask's gradient is a sum of them that may cancel.
    torch.float16: 16 * torch.finfo(torch.float16).eps,
    torch.bfloat16: 16 * torch.finfo(torch.bfloat16).eps,
}


@pytest.mark.parametrize("block", range(5))
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_random_configurations(
    dtype: torch.dtype, block: int, emulator: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs 500 configurations in each dtype, over every order of threads and chunks down to one position."""
    for seed in range(100 * block, 100 * (block + 1)):
        monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", str(COLUMN_BYTES[seed % len(COLUMN_BYTES)]))
        emulator.configure(ORDERS[seed % len(ORDERS)], seed)
        case = random_case(seed)
        tensors = case.tensors(seed, dtype)
        exact = {name: None if t is None else t.double() for name, t in tensors.items()}
        actual = run(dcnbuild.deform_conv2d, case, tensors)
        expected = run(dcnbuild.reference.deform_conv2d, case, exact, dtype)
        assert all(actual[name].dtype == dtype for name in actual)
        wide = {name: t.double() for name, t in actual.items()}
        assert_close(wide, expected, TOLERANCE[dtype], (seed, case))


@pytest.mark.parametrize("wild", SETS, ids="+".join)
def test_not_finite(wild: tuple[str, ...], emulator: ModuleType) -> None:
    """NaN and infinities are where the CPU's kernels have them, on the deterministic route too."""
    for number, case in enumerate(SHAPES):
        for seed in range(2):
            emulator.configure(ORDERS[seed], seed)
            tensors = wild_call(case, wild, seed, torch.float64)
            expected = results_of(torch.ops.dcnbuild, case, tensors)
            for deterministic in (False, True):
                actual = results_of(torch.ops.dcnbuild_emulated, case, tensors, deterministic)
                assert_same(actual, expected, 1e-11, (number, seed, deterministic))


@pytest.mark.parametrize("deterministic", [False, True])
def test_not_finite_mask_of_samples_outside(deterministic: bool) -> None:
    """A sample outside reads no pixel, so an infinite mask gives no NaN, and offset and mask get zero gradients."""
    image, one = torch.ones(1, 1, 3, 3, dtype=torch.float64), torch.ones(1, 1, 1, 1).double()
    offset, mask = torch.full((1, 2, 3, 3), 100.0).double(), torch.full_like(image, torch.inf)
    _, grad_offset, grad_mask, *_ = torch.ops.dcnbuild_emulated.deform_conv2d_backward(
        *(image, image, offset, mask, one, (1, 1), (0, 0), (1, 1), 1, 1),
        *([True, True, True, True, False], deterministic),
    )
    assert torch.equal(grad_offset, torch.zeros_like(offset))
    assert torch.equal(grad_mask, torch.zeros_like(mask))
