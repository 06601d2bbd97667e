"""What the poolings' docstrings promise at the edges: borders, lost RoIs, NaN, nothing at all, memory layouts, wrong calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from ops.pooling_cases import (
    ADAPTIVE,
    CASES,
    PSROI,
    ROI,
    PoolCase,
    gradients,
    pool_far_right,
)
from torch import Tensor

import dcnbuild

KINDS = {"psroi": PSROI, "roi": ROI, "adaptive": ADAPTIVE}
FUNCTIONS = ("operate", "reference")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("roi", [(500.0, 500.0, 510.0, 520.0), (-900.0, 2.0, -800.0, 5.0)])
def test_a_roi_outside_the_image_is_zero(
    case: PoolCase, function: str, roi: tuple[float, ...], device: str
) -> None:
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
    pooled = dcnbuild.deform_psroi_pool(
        image, turned, spatial_scale=1.0, pooled_size=2, sample_per_part=1
    )
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
    padded = torch.empty(
        [size + 1 for size in tensor.shape], dtype=tensor.dtype, device=tensor.device
    )
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


def _to(name: str, function: Callable[[Tensor], Any]) -> Callable[[dict[str, Any]], None]:
    return lambda call: call.update({name: function(call[name])})


def _set(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda call: call.update(changes)


def _image(number: float) -> Callable[[dict[str, Any]], None]:
    def spoil(call: dict[str, Any]) -> None:
        call["rois"][3, 0] = number

    return spoil


#: what is wrong: (how to spoil the good call, exception, words its message must hold); for both poolings
WRONG: dict[str, tuple[Callable[[dict[str, Any]], None], type[Exception], tuple[str, ...]]] = {
    "input of 3 dimensions": (_to("input", lambda t: t[0]), ValueError, ("input", "3 dimensions", "expected 4")),
    "rois of 1 dimension": (_to("rois", lambda t: t[0]), ValueError, ("rois", "1 dimensions", "expected 2")),
    "offset of 3 dimensions": (_to("offset", lambda t: t[0]), ValueError, ("3 dimensions", "expected 4")),
    "rois without images": (_to("rois", lambda t: t[:, 1:]), ValueError, ("rois", "(5, 4)", "(RoIs, 5)")),
    "input is a list": (_set(input=[1.0]), TypeError, ("input", "list", "tensor")),
    "rois is None": (_set(rois=None), TypeError, ("rois", "NoneType", "tensor")),
    "offset is a number": (_set(offset=1.0), TypeError, ("float", "tensor")),
    "integer input": (_to("input", lambda t: t.long()), TypeError, ("input", "torch.int64", "float32")),
    "integer rois": (_to("rois", lambda t: t.long()), TypeError, ("rois", "torch.int64", "float32")),
    "rois of another dtype": (_to("rois", lambda t: t.double()), TypeError, ("rois", "float64", "float32")),
    "half rois, float input": (_to("rois", lambda t: t.half()), TypeError, ("rois", "float16", "float32")),
    "offset differs from rois": (_to("offset", lambda t: t.half()), TypeError, ("float16", "float32", "rois")),
    "rois on another device": (_to("rois", lambda t: t.to("meta")), ValueError, ("rois", "meta", "where input is")),
    "offset on another device": (_to("offset", lambda t: t.to("meta")), ValueError, ("meta", "where input is")),
    "no channels": (_to("input", lambda t: t[:, :0]), ValueError, ("input", "0 channels", "multiple")),
    "offset for fewer RoIs": (_to("offset", lambda t: t[:4]), ValueError, ("(4, 2, 3, ", "(5, 2, 3, ")),
    "offset of too many cells": (_to("offset", lambda t: torch.cat([t, t], 2)), ValueError, ("(5, 2, 6, ", "(5, 2, 3, ")),
    "offset of one channel": (_to("offset", lambda t: t[:, :1]), ValueError, ("1 channels", "expected 2")),
    "offset without channels": (_to("offset", lambda t: t[:, :0]), ValueError, ("0 channels", "expected 2")),
    "an image that is not there": (_image(2), ValueError, ("RoI 3", "image 2", "0 to 1")),
    "a negative image": (_image(-1), ValueError, ("RoI 3", "image -1", "0 to 1")),
    "an image that is not a number": (_image(math.nan), ValueError, ("RoI 3", "image nan", "0 to 1")),
    "scale zero": (_set(spatial_scale=0.0), ValueError, ("spatial_scale", "positive", "0.0")),
    "scale infinite": (_set(spatial_scale=math.inf), ValueError, ("spatial_scale", "finite", "inf")),
    "scale a string": (_set(spatial_scale="1"), TypeError, ("spatial_scale", "float", "'1'")),
}  # fmt: skip
WRONG_PSROI: dict[str, tuple[Callable[[dict[str, Any]], None], type[Exception], tuple[str, ...]]] = {
    "channels of no group": (_set(group_size=3), ValueError, ("16 channels", "multiple of 9", "group_size=3")),
    "classes not dividing": (_to("offset", lambda t: t.repeat(1, 3, 1, 1)), ValueError, ("trans has 6 channels", "4 output")),
    "pooled size zero": (_set(pooled_size=0), ValueError, ("pooled_size", "from 1", "got 0")),
    "part size huge": (_set(part_size=10**6), ValueError, ("part_size", "32768", "1000000")),
    "no samples": (_set(sample_per_part=0), ValueError, ("sample_per_part", "from 1", "got 0")),
    "pooled size a float": (_set(pooled_size=3.0), TypeError, ("pooled_size", "int", "3.0")),
    "trans_std not a number": (_set(trans_std=math.nan), ValueError, ("trans_std", "finite", "nan")),
}  # fmt: skip
WRONG_ROI: dict[str, tuple[Callable[[dict[str, Any]], None], type[Exception], tuple[str, ...]]] = {
    "offset of four channels": (_to("offset", lambda t: t.repeat(1, 2, 1, 1)), ValueError, ("offset has 4 channels", "expected 2")),
    "three sizes": (_set(output_size=(1, 2, 3)), TypeError, ("output_size", "(1, 2, 3)", "two ints")),
    "size zero": (_set(output_size=(0, 2)), ValueError, ("output_size", "from 1", "got 0")),
    "sampling ratio a float": (_set(sampling_ratio=1.5), TypeError, ("sampling_ratio", "int", "1.5")),
    "gamma None": (_set(gamma=None), TypeError, ("gamma", "float", "None")),
}  # fmt: skip


def _good_call(kind: str, device: str) -> tuple[Any, dict[str, Any]]:
    if kind == "psroi":
        case = PoolCase("deform_psroi_pool", (0.5, 2, 3, 3, 2, 0.2))
        keywords: dict[str, Any] = {
            "spatial_scale": 0.5, "group_size": 2, "pooled_size": 3, "part_size": 3,
            "sample_per_part": 2, "trans_std": 0.2,
        }  # fmt: skip
    else:
        case = ROI
        keywords = {"output_size": (3, 2), "spatial_scale": 0.5, "sampling_ratio": 2, "gamma": 0.3}
    function = getattr(dcnbuild, case.operator)

    def call(*, offset: Any, **rest: Any) -> Tensor:
        result: Tensor = function(**rest, **{"trans" if kind == "psroi" else "offset": offset})
        return result

    return call, {**case.tensors(0, torch.float32, device), **keywords}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [("psroi", name) for name in [*WRONG, *WRONG_PSROI]]
    + [("roi", name) for name in [*WRONG, *WRONG_ROI]],
)
def test_wrong_calls_are_explained(kind: str, wrong: str, device: str) -> None:
    if device != "cpu" and "image" in wrong:
        pytest.skip("looked at on the CPU only")
    function, call = _good_call(kind, device)
    function(**call)
    spoil, exception, words = {**WRONG, **WRONG_PSROI, **WRONG_ROI}[wrong]
    spoil(call)
    with pytest.raises(exception) as caught:
        function(**call)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input", torch.zeros(2, 15, 9, 7)),
        ("input", torch.zeros(2, 16, 9)),
        ("input", torch.zeros(2, 16, 9, 7, dtype=torch.float64)),
        ("rois", torch.zeros(5, 4)),
        ("rois", torch.zeros(5, 5, dtype=torch.float16)),
        ("offset", torch.zeros(4, 2, 3, 3)),
        ("offset", torch.zeros(5, 2, 3, 2)),
        ("offset", torch.zeros(5, 6, 3, 3)),
        ("offset", torch.zeros(5, 2, 3, 3, dtype=torch.float64)),
    ],
)
def test_the_raw_operators_guard_their_memory(name: str, value: Tensor) -> None:
    case = PoolCase("deform_psroi_pool", (0.5, 2, 3, 3, 2, 0.2))
    tensors = {**case.tensors(0, torch.float32), name: value}
    with pytest.raises(RuntimeError, match="deform_psroi_pool"):
        torch.ops.dcnbuild.deform_psroi_pool(*tensors.values(), *case.attributes)


@pytest.mark.parametrize("attributes", [
    (0.0, 2, 3, 3, 2, 0.2), (0.5, 0, 3, 3, 2, 0.2), (0.5, 2, 0, 3, 2, 0.2), (0.5, 2, 3, -1, 2, 0.2), (0.5, 2, 3, 3, 0, 0.2),
    (0.5, 2, 3, 3, 2, math.nan), (0.5, 2, 3, 3, 10**9, 0.2), (0.5, 10**9, 3, 3, 2, 0.2),
])  # fmt: skip
def test_the_raw_operators_guard_their_attributes(attributes: tuple[Any, ...]) -> None:
    case = PoolCase("deform_psroi_pool", (0.5, 2, 3, 3, 2, 0.2))
    with pytest.raises(RuntimeError, match="deform_psroi_pool"):
        torch.ops.dcnbuild.deform_psroi_pool(*case.tensors(0, torch.float32).values(), *attributes)


@pytest.mark.parametrize("number", [2.0, -1.0, math.nan, 1e30])
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_the_raw_operators_read_no_image_that_is_not_there(
    case: PoolCase, number: float, device: str
) -> None:
    """On a GPU nobody looks at the numbers first."""
    t = case.tensors(0, torch.float32, device)
    assert t["rois"] is not None
    t["rois"][3, 0] = number
    operator = getattr(torch.ops.dcnbuild, case.operator)
    output = operator(*t.values(), *case.attributes)
    assert output[3].isnan().all() and output[:3].isfinite().all()
    backward = getattr(torch.ops.dcnbuild, f"{case.operator}_backward")
    for deterministic in (False, True):
        grads = backward(
            torch.ones_like(output), *t.values(), *case.attributes, [True, True], deterministic
        )
        assert grads[0].isfinite().all() and grads[1][3].isnan().all()


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
    """Neither its share of the upstream gradient, nor what is not finite in that."""
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
def test_a_sample_without_a_derivative_passes_nothing_on(
    what: str, value: float, function: str, device: str
) -> None:
    """Along x the samples of one RoI lie inside, those of the others outside or where they are clamped; along y inside."""
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


@pytest.mark.parametrize("kind", ["psroi", "roi"])
def test_whole_numbers_of_every_kind(kind: str) -> None:
    call, good = _good_call(kind, "cpu")
    expected = call(**good)
    for make in (np.int64, np.int32, torch.tensor):
        wrapped = {n: make(v) if type(v) is int else v for n, v in good.items()}
        wrapped["spatial_scale"] = np.float32(good["spatial_scale"])
        assert torch.equal(call(**wrapped), expected)
