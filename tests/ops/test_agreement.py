"""The operator against torchvision and against the plain-torch reference, forward and every gradient."""

from __future__ import annotations

import pytest
import torch
from ops.cases import Case, assert_close, random_case, run

import dcnbuild

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("block", [0, *(pytest.param(block, marks=pytest.mark.slow) for block in range(1, 10))])
def test_thousand_random_configurations(block: int, dtype: torch.dtype, device: str) -> None:
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    for seed in range(100 * block, 100 * (block + 1)):
        case = random_case(seed)
        tensors = case.tensors(seed, dtype, device)
        actual = run(dcnbuild.deform_conv2d, case, tensors)
        assert_close(
            actual,
            run(dcnbuild.reference.deform_conv2d, case, tensors),
            TOLERANCE[dtype],
            (seed, case),
        )
        assert_close(
            actual,
            run(torchvision.ops.deform_conv2d, case, tensors),
            TOLERANCE[dtype],
            (seed, case),
        )


@pytest.mark.parametrize("float_offset", [False, True], ids=["half_offset", "float_offset"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_half_types_agree_with_float64_to_their_own_precision(
    dtype: torch.dtype, float_offset: bool, device: str
) -> None:
    epsilon = torch.finfo(dtype).eps
    for seed in range(40):
        case = random_case(seed)
        tensors = case.tensors(seed, dtype, device)
        if float_offset:
            tensors["offset"] = case.tensors(seed, torch.float32, device)["offset"]
            if case.mask:
                tensors["mask"] = case.tensors(seed, torch.float32, device)["mask"]
        exact = {name: None if t is None else t.double() for name, t in tensors.items()}
        actual = run(dcnbuild.deform_conv2d, case, tensors)
        expected = run(dcnbuild.reference.deform_conv2d, case, exact, dtype)
        for name, grad in actual.items():
            wanted = torch.float32 if float_offset and name in ("grad_offset", "grad_mask") else dtype
            assert grad.dtype == wanted, name
        # CUDA's column gradients are half, and a mask's gradient is a sum of them that may cancel.
        assert_close({name: t.double() for name, t in actual.items()}, expected, 16 * epsilon, (seed, case))


def test_larger_than_one_tile(device: str) -> None:
    """Enough positions and channels for several tiles and several images a pass."""
    case = Case(batch=3, channels=64, out_channels=48, size=(37, 41), groups=2, offset_groups=4)
    tensors = case.tensors(0, torch.float64, device)
    expected = run(dcnbuild.reference.deform_conv2d, case, tensors)
    assert_close(run(dcnbuild.deform_conv2d, case, tensors), expected, 1e-12)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_agrees(threads: int) -> None:
    before = torch.get_num_threads()
    case = Case(batch=2, channels=16, out_channels=8, size=(20, 19))
    tensors = case.tensors(0, torch.float64)
    try:
        torch.set_num_threads(threads)
        actual = run(dcnbuild.deform_conv2d, case, tensors)
        again = run(dcnbuild.deform_conv2d, case, tensors)
    finally:
        torch.set_num_threads(before)
    assert_close(actual, run(dcnbuild.reference.deform_conv2d, case, tensors), 1e-12)
    assert all(torch.equal(actual[name], again[name]) for name in actual), "not repeatable"


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["NCHW", "NHWC"])
def test_expanded_upstream_gradient(layout: torch.memory_format, device: str) -> None:
    """`.sum().backward()` passes a gradient of one number that is expanded to an image."""
    case = Case(batch=2, channels=16, out_channels=8, size=(20, 19))
    tensors = case.tensors(0, torch.float64, device)
    tensors["input"] = tensors["input"].contiguous(memory_format=layout)
    leaves = {name: t.requires_grad_() for name, t in tensors.items()}
    output = dcnbuild.deform_conv2d(**leaves, **case.attributes())
    one = torch.ones((), dtype=output.dtype, device=device)
    wanted = list(leaves.values())
    expanded = torch.autograd.grad(output, wanted, one.expand_as(output), retain_graph=True)
    dense = torch.autograd.grad(output, wanted, torch.ones_like(output))
    assert_close(dict(zip(leaves, expanded)), dict(zip(leaves, dense)), 1e-12, case)
