"""Tests multi-scale deformable attention against the plain-torch reference, and the kernels' other guarantees."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from ops.attention_cases import (
    NAMES,
    REFERENCE,
    AttnCase,
    expected_of,
    random_case,
    results_of,
    with_layout,
)
from ops.cases import assert_close
from torch import Tensor

KERNELS = torch.ops.dcnbuild
#: More samples than pixels, some, and fewer: strided and float16 values are copied, or read where they lie, and their
#: gradient is summed by heads, or by pixels. Channels fill vectors of every width, and three are left.
SHAPES = ((6, 7), (3, 4), (1, 1))
MANY, SOME, FEW = (AttnCase(2, 3, 59, queries, points, SHAPES) for queries, points in ((40, 4), (5, 2), (3, 1)))


@pytest.mark.parametrize("block", range(5))
def test_random_configurations(block: int, device: str) -> None:
    for seed in range(100 * block, 100 * (block + 1)):
        case = random_case(seed)
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
            tensors = case.tensors(seed, dtype, device)
            actual = results_of(KERNELS, case, tensors)
            assert_close(actual, expected_of(case, tensors), tolerance, (seed, case))


def test_few_samples_of_many_pixels(device: str) -> None:
    """Whose value gradient is summed pixel by pixel."""
    rng = random.Random(0)
    for seed in range(60):
        case = replace(random_case(seed), queries=rng.randint(1, 4), points=rng.choice([1, 2, 3]))
        case = replace(case, shapes=(*case.shapes, (13, 17)))
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
            tensors = case.tensors(seed, dtype, device)
            actual = results_of(KERNELS, case, tensors)
            assert_close(actual, expected_of(case, tensors), tolerance, (seed, case))


def test_is_the_sum_of_weighted_grid_samples() -> None:
    """The formulation that public models fall back on."""
    case = AttnCase()
    tensors = case.tensors()
    value, locations, weights = (tensors[name] for name in NAMES)
    for namespace in (KERNELS, REFERENCE):
        output = namespace.deform_attn(value, case.flat, locations, weights)
        torch.testing.assert_close(output, case.plain(value, locations, weights), rtol=0, atol=1e-13)


@pytest.mark.parametrize("float_points", [False, True], ids=["half", "float"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", [MANY, SOME, FEW], ids=["many", "some", "few"])
def test_half_types_are_summed_in_float32(case: AttnCase, dtype: torch.dtype, float_points: bool, device: str) -> None:
    tensors = case.tensors(1, dtype, device, torch.float32 if float_points else None)
    actual = results_of(KERNELS, case, tensors)
    expected = results_of(REFERENCE, case, {name: t.float() for name, t in tensors.items()})
    assert actual["output"].dtype == actual["grad_value"].dtype == dtype
    for name in NAMES[1:]:
        assert actual[f"grad_{name}"].dtype == tensors[name].dtype
    # One rounding, of the result.
    assert_close({n: t.float() for n, t in actual.items()}, expected, torch.finfo(dtype).eps)


def test_many_samples_of_one_pixel_are_summed_in_float32(device: str) -> None:
    """4,096 times 1/4 on one pixel is beyond what float16 can add up one by one."""
    case = AttnCase(1, 1, 1, 4096, 1, ((1, 1),))
    tensors = {name: torch.full_like(t, 0.5) for name, t in case.tensors(0, torch.float16, device).items()}
    grads = results_of(KERNELS, case, tensors)
    assert grads["grad_value"].item() == 1024


def image_major(t: Tensor) -> Tensor:
    """Pixels innermost, as of an image [N, M · D, h, w] that was only viewed otherwise; the same of the rest."""
    return t.transpose(1, t.dim() - 1).contiguous().transpose(1, t.dim() - 1)


def reversed_dimensions(t: Tensor) -> Tensor:
    order = tuple(reversed(range(t.dim())))
    return t.permute(order).contiguous().permute(order)


def every_second(t: Tensor) -> Tensor:
    return torch.stack([t, t + 1], -1).flatten(-2)[..., ::2]


LAYOUTS = [image_major, reversed_dimensions, every_second]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", [MANY, SOME, FEW], ids=["many", "some", "few"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_memory_layouts(layout: Callable[[Tensor], Tensor], case: AttnCase, dtype: torch.dtype, device: str) -> None:
    tensors = case.tensors(2, dtype, device)
    actual = results_of(KERNELS, case, with_layout(tensors, layout))
    tolerance = 1e-13 if dtype == torch.float64 else torch.finfo(dtype).eps
    assert_close(actual, results_of(KERNELS, case, tensors), tolerance)


def test_an_expanded_upstream_gradient(device: str) -> None:
    """As `.sum().backward()` hands it over: one number in memory."""
    case = AttnCase(channels=12)
    tensors = case.tensors(0, torch.float64, device)
    tensors["grad_output"] = torch.ones(1, dtype=torch.float64, device=device).expand_as(tensors["grad_output"])
    assert_close(results_of(KERNELS, case, tensors), results_of(REFERENCE, case, tensors), 1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "case",
    [
        AttnCase(3, 3, 40, 90),
        AttnCase(1, 1, 70, 300),  # threads share the channels of one head
        AttnCase(1, 2, 64, 200),
        AttnCase(2, 3, 40, 600, 4, ((120, 100),)),  # few samples for each pixel
    ],
    ids=["images", "channels", "heads", "pixels"],
)
def test_threads_do_not_change_a_bit(case: AttnCase, dtype: torch.dtype) -> None:
    tensors = case.tensors(0, dtype)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 2, 3, 5):
            torch.set_num_threads(threads)
            results.append(results_of(KERNELS, case, tensors))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        for name, tensor in result.items():
            assert torch.equal(tensor, results[0][name]), name


def test_the_middle_of_a_pixel_is_on_it() -> None:
    """Reference points of encoders: what a sample is worth there is the pixel, and its derivative looks to the
    right.
    """
    for width in range(1, 200):
        x = (torch.arange(width, dtype=torch.float32) + 0.5) / width
        locations = torch.stack([x, torch.full_like(x, 0.5)], -1)[None, :, None, None, None]
        value = torch.randn(1, width, 1, 1, generator=torch.Generator().manual_seed(width))
        case = AttnCase(1, 1, 1, width, 1, ((1, width),))
        tensors = dict(zip(NAMES, (value, locations, torch.ones(1, width, 1, 1, 1))))
        tensors["grad_output"] = torch.ones(1, width, 1)
        actual = results_of(KERNELS, case, tensors)
        assert_close(actual, results_of(REFERENCE, case, tensors), 1e-5, width)


def test_derivatives_against_numbers() -> None:
    case = AttnCase(1, 2, 2, 1, 2, ((2, 3), (1, 2)))
    tensors = case.tensors(5)
    leaves = [tensors[name].requires_grad_() for name in NAMES]

    def attention(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        output: Tensor = KERNELS.deform_attn(value, case.flat, locations, weights)
        return output

    assert torch.autograd.gradcheck(attention, leaves)
    assert torch.autograd.gradgradcheck(attention, leaves)


@pytest.mark.parametrize("wanted", range(8))
def test_only_the_gradients_that_are_asked_for(wanted: int) -> None:
    case, mask = AttnCase(), [bool(wanted & bit) for bit in (1, 2, 4)]
    tensors = case.tensors()
    inputs = [tensors[name] for name in NAMES]
    inputs.insert(1, case.flat)  # type: ignore[arg-type]
    everything = results_of(KERNELS, case, tensors)
    grads = KERNELS.deform_attn_backward(tensors["grad_output"], *inputs, mask, False)
    for name, grad, asked in zip(NAMES, grads, mask):
        if asked:
            assert torch.equal(grad, everything[f"grad_{name}"])
        else:
            assert grad.numel() == 0


@pytest.mark.parametrize(
    "case",
    [
        AttnCase(queries=0),
        AttnCase(batch=0),
        AttnCase(shapes=((0, 3), (2, 2))),
        AttnCase(shapes=((0, 0),)),
        AttnCase(shapes=((1, 1),)),
        AttnCase(1, 1, 256, 2, 3, ((1, 5), (5, 1))),
        AttnCase(1, 1, 3, 2, 1, ((1, 2),) * 64),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_edges(case: AttnCase, dtype: torch.dtype, device: str) -> None:
    tensors = case.tensors(0, dtype, device)
    tolerance = 1e-12 if dtype == torch.float64 else 2 * torch.finfo(dtype).eps
    expected = results_of(REFERENCE, case, tensors)
    assert_close(results_of(KERNELS, case, tensors), expected, tolerance)
