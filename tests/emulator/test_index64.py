"""Tests elements more than 2^31 from a tensor's beginning. The memory is sparse: only touched pages exist."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from ops.cases import Case
from torch import Tensor

BEYOND = 2**31


def far_apart(tensor: Tensor, dim: int, order: tuple[int, ...], path: Path) -> Tensor:
    """The same values, with the last element of `dim` beyond 2^31 elements; `order` is that of the strides, widest
    first.
    """
    strides = [0] * tensor.dim()
    stride = 1
    for other in reversed(order):
        if other == dim:
            stride = max(stride, BEYOND // (tensor.shape[dim] - 1) // 8 * 8 + 8)
        strides[other] = stride
        stride *= tensor.shape[other]
    storage = torch.from_file(str(path), shared=True, size=stride, dtype=tensor.dtype)
    far = storage.as_strided(tensor.shape, strides)
    far.copy_(tensor)
    assert (tensor.shape[dim] - 1) * strides[dim] >= BEYOND
    return far


NCHW, NHWC = (0, 1, 2, 3), (0, 2, 3, 1)


@pytest.mark.parametrize(
    ("name", "dim", "order"),
    [
        ("input", 0, NHWC),  # images far apart
        ("input", 3, NHWC),  # pixels far apart, read in place
        ("input", 1, NCHW),  # channels far apart, copied
        ("input", 2, NHWC),  # rows far apart, copied
        ("offset", 0, NCHW),
        ("offset", 1, NCHW),
        ("offset", 2, NCHW),
        ("mask", 1, NCHW),
        ("grad_output", 0, NCHW),
        ("grad_output", 1, NCHW),
        ("grad_output", 2, NCHW),
    ],
)
def test_far_elements(name: str, dim: int, order: tuple[int, ...], tmp_path: Path) -> None:
    case = Case(batch=2, channels=8, out_channels=3, size=(4, 5))
    given = case.tensors(0, torch.float16)
    given["grad_output"] = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)).half()
    moved = {**given, name: far_apart(given[name], dim, order, tmp_path / "sparse")}
    attributes = (case.stride, case.padding, case.dilation, 1, 1)
    operators = torch.ops.dcnbuild_emulated

    def results(t: dict[str, Tensor]) -> tuple[Tensor, ...]:
        tensors = (t["input"], t["offset"], t["mask"], t["weight"])
        output = operators.deform_conv2d(*tensors, t["bias"], *attributes)
        backward = operators.deform_conv2d_backward
        return output, *backward(t["grad_output"], *tensors, *attributes, [True] * 5, True)

    for actual, expected in zip(results(moved), results(given)):
        torch.testing.assert_close(actual, expected, rtol=2e-3, atol=2e-3)


def test_gradient_of_a_large_image(emulator: ModuleType) -> None:
    column, atomic, in_order = emulator.gradient_beyond_32_bits()
    assert (column, atomic, in_order) == (3.0, 1.0, 1.0)
