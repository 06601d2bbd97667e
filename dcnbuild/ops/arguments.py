"""What a call of deform_conv2d was given: checked, and brought into the form the operators take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
HALF = (torch.float16, torch.bfloat16)

#: Sides of images, and whatever else is counted along one axis, are below this; kSideLimit of csrc/sampling.h.
SIDE_LIMIT = 2**30


class Attributes(NamedTuple):
    """The integers of a call, per axis as (y, x)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    offset_groups: int


def pair(name: str, value: int | Sequence[int], least: int) -> tuple[int, int]:
    """An int or two of them as (y, x), none below `least`.

    Raises:
        TypeError: not an int nor a sequence of two ints.
        ValueError: an element is below `least`.
    """
    elements = (value, value) if isinstance(value, int) else value
    if (
        isinstance(value, bool)
        or not isinstance(elements, Sequence)
        or len(elements) != 2
        or not all(
            isinstance(element, int) and not isinstance(element, bool) for element in elements
        )
    ):
        raise TypeError(f"deform_conv2d: {name} must be an int or two ints, got {value!r}")
    if min(elements) < least:
        raise ValueError(f"deform_conv2d: {name} must be at least {least}, got {value!r}")
    return elements[0], elements[1]


def output_size(height: int, width: int, kernel: tuple[int, int], a: Attributes) -> tuple[int, int]:
    """Height and width of the output, in pixels; may come out zero or negative."""
    return (
        (height + 2 * a.padding[0] - a.dilation[0] * (kernel[0] - 1) - 1) // a.stride[0] + 1,
        (width + 2 * a.padding[1] - a.dilation[1] * (kernel[1] - 1) - 1) // a.stride[1] + 1,
    )


def _shape(name: str, tensor: Tensor, expected: tuple[int, ...], meaning: str) -> None:
    if tuple(tensor.shape) != expected:
        raise ValueError(
            f"deform_conv2d: {name} has shape {tuple(tensor.shape)}, expected {expected} ({meaning})"
        )


def parse(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    mask: Tensor | None,
) -> Attributes:
    """Checks a call and returns its attributes; groups follow from the shapes, as in torchvision.

    Raises:
        TypeError: something is not a tensor, not of a floating dtype, or dtypes do not go together.
        ValueError: a shape, device or number does not fit; the message names it, what was given and what was expected.
    """
    tensors = {"input": input, "offset": offset, "mask": mask, "weight": weight, "bias": bias}
    for name, tensor in tensors.items():
        if tensor is None and name in ("mask", "bias"):
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"deform_conv2d: {name} must be a tensor, got {type(tensor).__name__}")
        rank = 1 if name == "bias" else 4
        if tensor.dim() != rank:
            raise ValueError(
                f"deform_conv2d: {name} has {tensor.dim()} dimensions {tuple(tensor.shape)}, expected {rank}"
            )
        if tensor.dtype not in FLOATING:
            raise TypeError(
                f"deform_conv2d: {name} is {tensor.dtype}, expected float64, float32, float16 or bfloat16"
            )
        if tensor.device != input.device:
            raise ValueError(
                f"deform_conv2d: {name} is on {tensor.device}, expected {input.device}, where input is"
            )
        allowed: tuple[torch.dtype, ...] = (input.dtype,)
        if name in ("offset", "mask") and input.dtype in HALF:
            allowed = (input.dtype, torch.float32)
        if tensor.dtype not in allowed:
            expected = " or ".join(map(str, allowed))
            raise TypeError(
                f"deform_conv2d: {name} is {tensor.dtype}, expected {expected} for {input.dtype} input"
            )
    if mask is not None and mask.dtype != offset.dtype:
        raise TypeError(
            f"deform_conv2d: mask is {mask.dtype}, expected {offset.dtype}, the dtype of offset"
        )

    batch, channels, height, width = input.shape
    out_channels, per_group, *kernel = weight.shape
    taps = kernel[0] * kernel[1]
    if channels == 0 or out_channels == 0 or per_group == 0 or taps == 0:
        raise ValueError(
            f"deform_conv2d: input {tuple(input.shape)} and weight {tuple(weight.shape)} must have at least one "
            "channel and one tap"
        )
    if channels % per_group:
        raise ValueError(
            f"deform_conv2d: weight takes {per_group} channels per group, which does not divide the {channels} channels of input"
        )
    groups = channels // per_group
    if out_channels % groups:
        raise ValueError(
            f"deform_conv2d: {out_channels} output channels cannot be split into {groups} groups"
        )
    if offset.shape[1] == 0 or offset.shape[1] % (2 * taps):
        raise ValueError(
            f"deform_conv2d: offset has {offset.shape[1]} channels, expected a multiple of {2 * taps} (two for each of "
            f"the {kernel[0]}x{kernel[1]} taps, times the offset groups)"
        )
    offset_groups = offset.shape[1] // (2 * taps)
    if channels % offset_groups:
        raise ValueError(
            f"deform_conv2d: offset has {offset_groups} offset groups, which do not divide the {channels} channels of input"
        )
    attributes = Attributes(
        pair("stride", stride, 1),
        pair("padding", padding, 0),
        pair("dilation", dilation, 1),
        groups,
        offset_groups,
    )
    size = output_size(height, width, (kernel[0], kernel[1]), attributes)
    if size[0] <= 0 or size[1] <= 0:
        raise ValueError(
            f"deform_conv2d: the output would be {size[0]}x{size[1]} pixels: input of {height}x{width}, kernel of "
            f"{kernel[0]}x{kernel[1]}, {attributes}"
        )
    _shape(
        "offset",
        offset,
        (batch, 2 * offset_groups * taps, *size),
        "batch, 2 * offset groups * taps, output size",
    )
    if mask is not None:
        _shape(
            "mask",
            mask,
            (batch, offset_groups * taps, *size),
            "batch, offset groups * taps, output size",
        )
    if bias is not None:
        _shape("bias", bias, (out_channels,), "output channels")
    return attributes
