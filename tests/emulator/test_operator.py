"""tests/ops once more, on the emulated kernels."""

from __future__ import annotations

import pytest
import torch
from ops.cases import Case, assert_close, random_case, run
from ops.test_agreement import (  # noqa: F401
    test_half_types_agree_with_float64_to_their_own_precision,
    test_larger_than_one_tile,
)
from ops.test_bad_input import *  # noqa: F403
from ops.test_edge_cases import *  # noqa: F403
from ops.test_gradcheck import *  # noqa: F403

import dcnbuild

COLUMN_BYTES = (1, 1000, 20_000, 16 << 20)
ORDERS = ("forward", "reversed", "shuffled")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_random_configurations(dtype, emulator, monkeypatch) -> None:
    """Every order of threads and every size of chunk, down to one position."""
    for seed in range(250):
        monkeypatch.setenv("DCNBUILD_COLUMN_BYTES", str(COLUMN_BYTES[seed % len(COLUMN_BYTES)]))
        emulator.configure(ORDERS[seed % len(ORDERS)], seed)
        case = random_case(seed)
        tensors = case.tensors(seed, dtype)
        actual = run(dcnbuild.deform_conv2d, case, tensors)
        expected = run(dcnbuild.reference.deform_conv2d, case, tensors)
        assert_close(actual, expected, 1e-5 if dtype == torch.float32 else 1e-12, (seed, case))
