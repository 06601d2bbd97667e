"""Tests the edge cases of the poolings' docstrings: borders, RoIs without an image, NaN, empty tensors, layouts."""

from __future__ import annotations

import math

import pytest
import torch
from ops.pooling_cases import (
    ADAPTIVE,
    CASES,
    KINDS,
    PoolCase,
    gradients,
    pool_far_right,
)
from torch import Tensor

import dcnbuild

FUNCTIONS = ("operate", "reference")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("roi", [(500.0, 500.0, 510.0, 520.0), (-900.0, 2.0, -800.0, 5.0)])
def test_a_roi_outside_the_image_is_zero(case: PoolCase, function: str, roi: tuple[float, ...], device: str) -> None:
    tensors = case.tensors(0, device=device)
    rois = tensors["rois"]
    assert rois is not None
    rois[1, 1:] = torch.tensor(roi)
    result = gradients(getattr(case, function), tensors)
    assert (result["output"][1] == 0).all()
    assert (result["grad_offset"][1] == 0).all()
    assert all(t.isfinite().all() for t in result.values())


def test_a_roi_of_size_zero(device: str) -> None:
    """PS-RoI pooling makes it 0.1 pixels long; RoI pooling reads one point, or with sampling_ratio 0 nothing."""
    image = torch.arange(12.0, dtype=torch.float64, device=device).reshape(1, 1, 3, 4)
    rois = torch.tensor([[0.0, 2.5, 1.5, 2.5, 1.5]], dtype=torch.float64, device=device)
    pooled = dcnbuild.deform_roi_pool(image, rois, output_size=2, sampling_ratio=2)
    # Position (1, 2): row 1, column 2.
    assert pooled.flatten().tolist() == [6.0] * 4
    adaptive = dcnbuild.deform_roi_pool(image, rois, output_size=2)
    assert adaptive.flatten().tolist() == [0.0] * 4
    # Ends exchanged: from 3 - 0.5 to 1 + 1 - 0.5 is less than nothing, so 0.1 pixels from 2.5 on.
    turned = torch.tensor([[0.0, 3.0, 1.0, 1.0, 0.0]], dtype=torch.float64, device=device)
    pooled = dcnbuild.deform_psroi_pool(image, turned, spatial_scale=1.0, pooled_size=2, sample_per_part=1)
    expected = [[4.5, 4.55], [4.7, 4.75]]  # rows 0.5 and 0.55, columns 2.5 and 2.55
    assert torch.allclose(pooled[0, 0].cpu(), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_borders_count_and_clamp(function: str, device: str) -> None:
    """One sample a RoI, along x: where it counts, what it reads, and its derivative by the offset."""
    image = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64, device=device).reshape(1, 1, 1, 3)

    def sample(case: PoolCase, begin: float, end: float) -> tuple[float, float]:
        rois = torch.tensor([[0.0, begin, 0.0, end, 0.0]], dtype=torch.float64, device=device)
        offset = torch.zeros(1, 2, 1, 1, dtype=torch.float64, device=device, requires_grad=True)
        output = getattr(case, function)(image, rois, offset)
        (grad,) = torch.autograd.grad(output, offset)
        return output.item(), grad[0, 0].item()

    # PS-RoI pooling: the RoI [x, x] is one pixel from x - 0.5, and its sample lies at its beginning.
    psroi = PoolCase("deform_psroi_pool", (1.0, 1, 1, 1, 1, 1.0), 1)
    assert sample(psroi, 0, 0) == (1.0, 0.0)  # -0.5: the last that counts, clamped
    assert sample(psroi, -1, -1) == (0.0, 0.0)  # -1.5
    assert sample(psroi, 1, 1) == (1.5, 1.0)  # 0.5
    assert sample(psroi, 3, 3) == (4.0, 0.0)  # 2.5: the last that counts, clamped
    assert sample(psroi, 4, 4) == (0.0, 0.0)
    on_pixel = PoolCase("deform_psroi_pool", (0.5, 1, 1, 1, 1, 1.0), 1)
    assert sample(on_pixel, 3, 3) == (2.0, 0.0)  # 1.0: on a pixel
    # RoI pooling: the RoI [x, x + 2] is two pixels from x - 0.5, and its sample lies in its middle, x + 0.5.
    roi = PoolCase("deform_roi_pool", ([1, 1], 1.0, 1, 0.5), 1)
    assert sample(roi, 0, 2) == (1.5, 1.0)  # 0.5
    assert sample(roi, 0.5, 2.5) == (2.0, 2.0)  # 1.0: the derivative looks to the right
    assert sample(roi, -1.5, 0.5) == (1.0, 0.0)  # -1: the last that counts, clamped
    assert sample(roi, -1.75, 0.25) == (0.0, 0.0)
    assert sample(roi, 2.5, 4.5) == (4.0, 0.0)  # 3 = W: the last that counts, clamped
    assert sample(roi, 2.75, 4.75) == (0.0, 0.0)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(
    ("field", "value"),
    [(1, math.nan), (2, math.inf), (3, -math.inf), (4, 1e30), (1, -3e9)],
)
def test_a_roi_without_a_place_is_nan_and_touches_no_pixel(
    case: PoolCase, function: str, field: int, value: float, device: str
) -> None:
    tensors = case.tensors(0, device=device)
    expected = gradients(getattr(case, function), tensors)
    rois = tensors["rois"]
    assert rois is not None
    rois[1, field] = value
    result = gradients(getattr(case, function), tensors)
    others = [i for i in range(len(rois)) if i != 1]
    assert result["output"][1].isnan().all() and result["grad_offset"][1].isnan().all()
    assert torch.equal(result["output"][others], expected["output"][others])
    assert torch.equal(result["grad_offset"][others], expected["grad_offset"][others])
    assert result["grad_input"].isfinite().all()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_a_nan_offset_shows_in_its_bin_only(case: PoolCase, function: str, device: str) -> None:
    tensors = case.tensors(0, device=device)
    offset = tensors["offset"]
    assert offset is not None
    offset[2, 1, 0, 1] = math.nan
    offset[3, 0, 1, 1] = math.inf
    result = gradients(getattr(case, function), tensors)
    per_class = case.out_channels // case.classes
    assert result["output"][2, :per_class, 0, 1].isnan().all()
    assert result["output"].isnan().sum() == per_class
    # An infinite one moves the bin out of the image.
    assert (result["output"][3, :per_class, 1, 1] == 0).all()
    assert result["grad_offset"].isnan().sum() == 2
    assert result["grad_offset"][2, :2, 0, 1].isnan().all()
    assert result["grad_input"].isfinite().all()


@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_a_huge_roi_takes_no_longer(case: PoolCase, device: str) -> None:
    """With adaptive sampling a RoI of 10^9 pixels has 10^17 samples a bin, nearly all outside."""
    tensors = case.tensors(0, device=device)
    rois = tensors["rois"]
    assert rois is not None
    rois[0, 1:] = torch.tensor([-1e9, -1e9, 1e9, 1e9])
    result = gradients(case.operate, tensors)
    assert all(t.isfinite().all() for t in result.values())
    if case is ADAPTIVE:
        # Every value is a mean over ever so many zeros.
        assert result["output"][0].abs().max() < 1e-12


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", CASES)
def test_nothing_to_pool(name: str, function: str, device: str) -> None:
    case = CASES[name]
    tensors = case.tensors(device=device)
    empty = {n: None if t is None else t[:0] if n != "input" else t for n, t in tensors.items()}
    result = gradients(getattr(case, function), empty)
    assert result["output"].shape == (0, 4, *case.pooling.pooled)
    assert (result["grad_input"] == 0).all()
    blank = {**tensors, "input": tensors["input"][..., :0]}  # type: ignore[index]
    result = gradients(getattr(case, function), blank)
    assert (result["output"] == 0).all() and result["grad_input"].shape == blank["input"].shape


def _layouts(tensor: Tensor) -> dict[str, Tensor]:
    padded = torch.empty([size + 1 for size in tensor.shape], dtype=tensor.dtype, device=tensor.device)
    inner = padded[tuple(slice(0, size) for size in tensor.shape)]
    layouts = {
        "sliced": inner.copy_(tensor),
        "transposed": tensor.transpose(-1, -2).contiguous().transpose(-1, -2),
    }
    if tensor.dim() == 4:
        layouts["channels_last"] = tensor.to(memory_format=torch.channels_last)
    return layouts


@pytest.mark.parametrize("argument", ["input", "rois", "offset"])
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_layouts_do_not_change_results(case: PoolCase, argument: str, device: str) -> None:
    tensors = case.tensors(device=device)
    expected = gradients(case.operate, tensors)
    given = tensors[argument]
    assert given is not None
    for layout, tensor in _layouts(given).items():
        result = gradients(case.operate, {**tensors, argument: tensor})
        for name, value in result.items():
            torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-12, msg=layout)


@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_channels_last_is_kept(case: PoolCase, device: str) -> None:
    t = case.tensors(device=device)
    x, rois, offset = t["input"], t["rois"], t["offset"]
    assert x is not None and rois is not None
    assert case.operate(x, rois, offset).is_contiguous()
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    output = case.operate(x, rois, offset)
    assert output.is_contiguous(memory_format=torch.channels_last)
    output.sum().backward()
    assert x.grad is not None and x.grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_deterministic_algorithms_are_honoured(case: PoolCase, device: str) -> None:
    tensors = case.tensors(0, torch.float32, device)
    expected = gradients(case.operate, tensors)
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (gradients(case.operate, tensors) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    for name, value in first.items():
        assert torch.equal(value, second[name])
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_beyond_2_24_pixels(function: str) -> None:
    def call(case: PoolCase, input: Tensor, rois: Tensor, offset: None) -> tuple[Tensor, Tensor]:
        output = getattr(case, function)(input.requires_grad_(), rois, offset)
        return output.detach(), torch.autograd.grad(output.sum(), input)[0]

    pool_far_right(call)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_a_roi_without_a_place_has_no_part_in_the_gradient_of_the_input(
    case: PoolCase, function: str, device: str
) -> None:
    """A RoI without a place adds nothing to the gradient of the input, even where its upstream gradient is NaN."""
    tensors = case.tensors(0, device=device)
    rois, x = tensors["rois"], tensors["input"]
    assert rois is not None and x is not None
    rois[1, 1] = math.inf
    leaf = x.detach().requires_grad_()
    output = getattr(case, function)(leaf, rois, tensors["offset"])
    for value in (1.0, math.nan):
        upstream = torch.zeros_like(output)
        upstream[1] = value
        (grad,) = torch.autograd.grad(output, leaf, upstream, retain_graph=True)
        assert (grad == 0).all()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("what", ["upstream", "pixels"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_sample_without_a_derivative_passes_nothing_on(what: str, value: float, function: str, device: str) -> None:
    """Along x the samples of one RoI lie inside, those of the others outside or where they are clamped; along y
    inside.
    """
    psroi = PoolCase("deform_psroi_pool", (1.0, 1, 1, 1, 1, 1.0), 1)
    roi = PoolCase("deform_roi_pool", ([1, 1], 1.0, 1, 0.5), 1)
    for case, inside, others, rows in (
        (psroi, (1, 1), [(0, 0), (3, 3), (-1, -1), (4, 4), (900, 910)], (1, 1)),
        (roi, (0, 2), [(-1.5, 0.5), (2.5, 4.5), (2.75, 4.75), (-90, -80)], (0, 2)),
    ):
        for columns in (inside, *others):
            x = torch.full((1, 2, 3, 3), value if what == "pixels" else 1.0, device=device)
            rois = torch.tensor([[0.0, columns[0], rows[0], columns[1], rows[1]]], device=device)
            offset = torch.zeros(1, 2, 1, 1, device=device, requires_grad=True)
            output = getattr(case, function)(x, rois, offset)
            upstream = torch.full_like(output, value if what == "upstream" else 1.0)
            (grad,) = torch.autograd.grad(output, offset, upstream)
            assert grad[0, 0].isnan() == (columns == inside), (case.operator, columns)
            counts = columns in (inside, others[0], others[1])
            assert grad[0, 1].isnan() == counts, (case.operator, columns)
