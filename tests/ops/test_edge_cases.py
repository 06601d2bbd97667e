"""Tests the edge cases of the docstring: image borders, infinities, NaN, empty tensors, and memory layouts."""

from __future__ import annotations

import math

import pytest
import torch
from ops.cases import Case, assert_close, run
from torch import Tensor

import dcnbuild

FUNCTIONS = {"operator": dcnbuild.deform_conv2d, "reference": dcnbuild.reference.deform_conv2d}


def _one_tap(position_y: float, position_x: float, device: str, mask: float = 1.0) -> dict[str, Tensor | None]:
    """A 1x1 kernel with weight 1 that reads one position of a 3x4 image of ones and more."""
    image = torch.arange(1.0, 13.0, dtype=torch.float64, device=device).reshape(1, 1, 3, 4)
    offset = torch.zeros(1, 2, 3, 4, dtype=torch.float64, device=device)
    offset[0, 0, 0, 0], offset[0, 1, 0, 0] = position_y, position_x
    modulation = torch.ones(1, 1, 3, 4, dtype=torch.float64, device=device)
    modulation[0, 0, 0, 0] = mask
    weight = torch.ones(1, 1, 1, 1, dtype=torch.float64, device=device)
    return {"input": image, "offset": offset, "weight": weight, "bias": None, "mask": modulation}


CASE_1X1 = Case(kernel=(1, 1), padding=(0, 0))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("y", "x"),
    [
        (-1.0, 0.0),
        (0.0, -1.0),
        (3.0, 0.0),
        (0.0, 4.0),
        (math.inf, 0.0),
        (0.0, -math.inf),
        (1e30, 1e30),
        (-1e30, 0.0),
    ],
)
def test_outside_is_zero_with_zero_gradients(name: str, y: float, x: float, device: str) -> None:
    result = run(FUNCTIONS[name], CASE_1X1, _one_tap(y, x, device))
    assert result["output"][0, 0, 0, 0] == 0
    assert (result["grad_offset"][0, :, 0, 0] == 0).all()
    assert result["grad_mask"][0, 0, 0, 0] == 0
    assert all(t.isfinite().all() for t in result.values())


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("y", "x", "value", "dy", "dx"),
    [
        (0.0, 0.0, 1.0, 4.0, 1.0),  # on a pixel: the derivative looks down and right
        (-0.5, 0.0, 0.5, 1.0, 0.5),  # half a row above the image
        (2.75, 3.5, 0.25 * 0.5 * 12.0, -6.0, -3.0),  # beyond the last pixel, both ways
        (0.25, 1.5, 2.5 + 1.0, 4.0, 1.0),
    ],
)
def test_inside_is_bilinear(name: str, y: float, x: float, value: float, dy: float, dx: float, device: str) -> None:
    tensors = _one_tap(y, x, device)
    leaf = tensors["offset"].requires_grad_()  # type: ignore[union-attr]
    output = FUNCTIONS[name](**tensors)
    (grad,) = torch.autograd.grad(output[0, 0, 0, 0], leaf)
    assert output[0, 0, 0, 0].item() == pytest.approx(value, abs=1e-12)
    assert grad[0, :, 0, 0].tolist() == pytest.approx([dy, dx], abs=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("y", "x"), [(math.nan, 0.0), (0.0, math.nan), (math.nan, math.inf), (math.nan, 1e30)])
def test_nan_offset_shows_and_touches_no_pixel(name: str, y: float, x: float, device: str) -> None:
    result = run(FUNCTIONS[name], CASE_1X1, _one_tap(y, x, device))
    assert result["output"][0, 0, 0, 0].isnan()
    assert result["output"].flatten()[1:].isfinite().all()
    assert result["grad_offset"][0, :, 0, 0].isnan().all()
    assert result["grad_mask"][0, 0, 0, 0].isnan()
    assert result["grad_offset"].flatten(2)[..., 1:].isfinite().all()
    assert result["grad_weight"].isnan().all()
    assert result["grad_input"].isfinite().all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_mask_shows(name: str, device: str) -> None:
    result = run(FUNCTIONS[name], CASE_1X1, _one_tap(0.5, 0.5, device, mask=math.nan))
    assert result["output"][0, 0, 0, 0].isnan()
    assert result["output"].flatten()[1:].isfinite().all()
    assert result["grad_offset"][0, :, 0, 0].isnan().all()
    assert result["grad_mask"][0, 0, 0, 0].isfinite()
    assert result["grad_weight"].isnan().all()
    reached = result["grad_input"].isnan().nonzero().tolist()
    assert reached == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 1, 1]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_wild_offsets_agree_with_the_reference(dtype: torch.dtype, device: str) -> None:
    """Offsets that overflow a conversion from float to integer agree in every dtype, over several channels."""
    case = Case(batch=2, channels=8, out_channels=4, size=(6, 5), offset_groups=2)
    tensors = case.tensors(0, dtype, device)
    offset = tensors["offset"]
    assert offset is not None
    wild = torch.tensor([math.inf, -math.inf, 6e4, -6e4, -1.0, 0.0, 1.0, 5.0], dtype=dtype, device=device)
    choice = torch.randint(0, 24, offset.shape, generator=torch.Generator().manual_seed(0)).to(device)
    tensors["offset"] = torch.where(choice < 8, wild[choice.clamp_max(7)], offset)
    expected = run(FUNCTIONS["reference"], case, tensors)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5}.get(dtype, 8 * torch.finfo(dtype).eps)
    assert_close(run(FUNCTIONS["operator"], case, tensors), expected, tolerance)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_empty_batch(name: str, device: str) -> None:
    case = Case(batch=0)
    result = run(FUNCTIONS[name], case, case.tensors(device=device))
    assert result["output"].shape == (0, 6, 7, 6)
    assert result["grad_input"].shape == (0, 4, 7, 6)
    assert (result["grad_weight"] == 0).all()
    assert (result["grad_bias"] == 0).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_empty_image_gives_the_bias(name: str, device: str) -> None:
    case = Case(size=(0, 3), padding=(2, 1))
    tensors = case.tensors(device=device)
    result = run(FUNCTIONS[name], case, tensors)
    bias = tensors["bias"]
    assert bias is not None
    assert torch.equal(result["output"], bias[:, None, None].expand_as(result["output"]))
    assert (result["grad_offset"] == 0).all()
    assert (result["grad_weight"] == 0).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_zero_offsets_are_an_ordinary_convolution(name: str, device: str) -> None:
    case = Case(channels=6, groups=3, stride=(2, 1), padding=(2, 1), dilation=(1, 2))
    tensors = case.tensors(device=device)
    tensors["offset"] = torch.zeros_like(tensors["offset"])  # type: ignore[arg-type]
    tensors["mask"] = None
    plain = torch.nn.functional.conv2d(
        tensors["input"],
        tensors["weight"],
        tensors["bias"],
        groups=3,
        **case.attributes(),  # type: ignore[arg-type]
    )
    torch.testing.assert_close(FUNCTIONS[name](**tensors, **case.attributes()), plain, rtol=0, atol=1e-12)


def _layouts(tensor: Tensor) -> dict[str, Tensor]:
    padded = torch.empty([size + 1 for size in tensor.shape], dtype=tensor.dtype, device=tensor.device)
    inner = padded[tuple(slice(0, size) for size in tensor.shape)]
    return {
        "contiguous": tensor.contiguous(),
        "sliced": inner.copy_(tensor),
        "transposed": tensor.transpose(-1, -2).contiguous().transpose(-1, -2),
        "channels_last": tensor.to(memory_format=torch.channels_last),
    }


@pytest.mark.parametrize("layout", ["sliced", "transposed", "channels_last"])
@pytest.mark.parametrize("argument", ["input", "offset", "mask", "weight"])
@pytest.mark.parametrize("channels", [1, 4, 32])
def test_layouts_do_not_change_results(argument: str, layout: str, channels: int, device: str) -> None:
    case = Case(channels=channels)
    tensors = case.tensors(device=device)
    expected = run(FUNCTIONS["operator"], case, tensors)
    tensors[argument] = _layouts(tensors[argument])[layout]  # type: ignore[arg-type]
    assert_close(run(FUNCTIONS["operator"], case, tensors), expected, 1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_channels_last_is_kept(name: str, device: str) -> None:
    tensors = Case().tensors(device=device)
    plain = FUNCTIONS[name](**tensors, padding=1)
    assert plain.is_contiguous()
    tensors["input"] = tensors["input"].to(memory_format=torch.channels_last).requires_grad_()  # type: ignore[union-attr]
    output = FUNCTIONS[name](**tensors, padding=1)
    assert output.is_contiguous(memory_format=torch.channels_last)
    output.sum().backward()
    grad = tensors["input"].grad
    assert grad is not None and grad.is_contiguous(memory_format=torch.channels_last)


def test_expanded_gradient(device: str) -> None:
    """`.sum().backward()` hands down a gradient whose strides are all zero."""
    case = Case()
    tensors = {name: t.requires_grad_() for name, t in case.tensors(device=device).items() if t is not None}
    dcnbuild.deform_conv2d(**tensors, padding=1).sum().backward()
    expanded = {name: t.grad.clone() for name, t in tensors.items() if t.grad is not None}
    output = dcnbuild.deform_conv2d(**tensors, padding=1)
    dense = torch.autograd.grad(output, list(tensors.values()), torch.ones_like(output))
    for name, grad in zip(tensors, dense):
        torch.testing.assert_close(expanded[name], grad, rtol=0, atol=1e-12)


def test_deterministic_algorithms_are_honoured(device: str) -> None:
    case = Case(batch=1, channels=16, size=(16, 16))
    tensors = case.tensors(0, torch.float32, device)
    expected = run(dcnbuild.reference.deform_conv2d, case, case.tensors(0, torch.float64, device))
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (run(dcnbuild.deform_conv2d, case, tensors) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert_close({name: t.double() for name, t in first.items()}, expected, 1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_beyond_2_24_pixels(name: str, device: str) -> None:
    """Where float32 does not hold every whole number, the position is rounded, and then exact: up to the last pixel."""
    width = 2**24 + 61  # which float32 rounds to the last pixel
    image = (torch.arange(width, device=device) % 97).float().reshape(1, 1, 1, width)
    positions = torch.tensor([2**24 - 1, 2**24, 2**24 + 2, 2**24 + 58, width - 1, width + 1])
    offset = torch.zeros(len(positions), 2, 1, 1, device=device)
    offset[:, 1, 0, 0] = positions
    one = torch.ones(1, 1, 1, 1, device=device)
    images = image.expand(len(positions), -1, -1, -1)
    read = FUNCTIONS[name](images, offset.requires_grad_(), one, stride=(1, width))
    whole = [float(int(p) % 97) for p in positions[:-1]]
    assert read.flatten().tolist() == [*whole, 0.0]
    (grad,) = torch.autograd.grad(read.sum(), offset)
    # Each looks to the next pixel, and the last one to none.
    slopes = [float((int(p) + 1) % 97 - int(p) % 97) for p in positions[:-2]]
    assert grad[:, 1].flatten().tolist() == [*slopes, -whole[-1], 0.0]
    # By the geometry alone: the last tap starts at 2^24.
    taps = torch.tensor([0.0, 0.0, 1.0], device=device).reshape(1, 1, 1, 3)
    zeros = torch.zeros(1, 6, 1, 61, device=device)
    far = FUNCTIONS[name](image, zeros, taps, dilation=(1, 2**23))
    rounded = (torch.arange(61) + 2**24).float().long()  # half to even
    assert torch.equal(far.flatten().cpu(), (rounded % 97).float() * (rounded < width))


@pytest.mark.parametrize("only", ["input", "offset", "mask", "weight"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_a_gradient_alone_is_what_it_is_among_others(dtype: torch.dtype, only: str, device: str) -> None:
    """Kernels leave out what nobody wants; what is left does not change."""
    case = Case(batch=2, channels=24, out_channels=10, size=(11, 7), groups=2, offset_groups=2)
    tensors = case.tensors(0, dtype, device)
    arguments = [tensors[name] for name in ("input", "offset", "mask", "weight")]
    attributes = (case.stride, case.padding, case.dilation, case.groups, case.offset_groups)
    operators = torch.ops.dcnbuild
    upstream = torch.ones_like(operators.deform_conv2d(*arguments, None, *attributes))
    backward = operators.deform_conv2d_backward
    which = ("input", "offset", "mask", "weight").index(only)
    all_of_them = backward(upstream, *arguments, *attributes, [True] * 4 + [False], False)
    alone = backward(upstream, *arguments, *attributes, [i == which for i in range(5)], False)
    scale = float(all_of_them[which].abs().max())
    torch.testing.assert_close(alone[which], all_of_them[which], rtol=0, atol=8 * torch.finfo(dtype).eps * scale)
    assert all(grad.numel() == 0 for i, grad in enumerate(alone) if i != which)
