"""Checks the arguments of deform_conv2d, and converts them for the operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.ops.arguments import HALF, check_tensor, pair
from dcnbuild.ops.reference.deform_conv2d import Attributes, output_size


def _shape(name: str, tensor: Tensor, expected: tuple[int, ...], meaning: str, hint: str = "") -> None:
    if tuple(tensor.shape) != expected:
        raise ArgumentError(
            f"deform_conv2d: {name} has shape {tuple(tensor.shape)}, expected {expected} ({meaning}){hint}"
        )


def _mask_hint(channels: int, taps: int, mask: Tensor | None) -> str:
    """Says what to do about an offset that still contains the mask."""
    if mask is not None or channels == 0 or channels % (3 * taps):
        return ""
    split = 2 * channels // 3
    return (
        f"; if it is offset and mask in one, as a convolution predicts them, split off the mask: "
        f"offset, mask = t[:, :{split}], t[:, {split}:].sigmoid()"
    )


def _padding_hint(input: Tensor, offset: Tensor, kernel: tuple[int, int], a: Attributes) -> str:
    """Names the padding that would fit the size of the offset."""
    fitting = []
    for axis in (0, 1):
        reach = a.dilation[axis] * (kernel[axis] - 1) + 1
        least = (offset.shape[2 + axis] - 1) * a.stride[axis] + reach - input.shape[2 + axis]
        fitting.append(max(-(-least // 2), 0))
    padding = (fitting[0], fitting[1])
    size = output_size(input.shape[2], input.shape[3], kernel, a._replace(padding=padding))
    if padding == a.padding or size != tuple(offset.shape[2:]):
        return ""
    return f"; the offset would fit padding={padding}, and padding is {a.padding}"


def _widens(bias: Tensor, input: Tensor) -> bool:
    """Whether the bias has a wider dtype, which the output then gets, as in torchvision."""
    return torch.promote_types(input.dtype, bias.dtype) == bias.dtype


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
        ArgumentTypeError: something is not a tensor, not of a floating dtype, or dtypes do not go together.
        ArgumentError: a shape, device or number does not fit; the message names it, what was given and what was
            expected.
    """
    tensors: dict[str, Any] = {
        "input": input,
        "offset": offset,
        "mask": mask,
        "weight": weight,
        "bias": bias,
    }
    for name, tensor in tensors.items():
        if tensor is None and name in ("mask", "bias"):
            continue
        check_tensor("deform_conv2d", name, tensor, 1 if name == "bias" else 4, input)
        allowed: tuple[torch.dtype, ...] = (input.dtype,)
        if name in ("offset", "mask") and input.dtype in HALF:
            allowed = (input.dtype, torch.float32)
        if tensor.dtype not in allowed and not (name == "bias" and _widens(tensor, input)):
            expected = " or ".join(map(str, allowed))
            raise ArgumentTypeError(
                f"deform_conv2d: {name} is {tensor.dtype}, expected {expected} for {input.dtype} input"
            )
    if mask is not None and mask.dtype != offset.dtype:
        raise ArgumentTypeError(f"deform_conv2d: mask is {mask.dtype}, expected {offset.dtype}, the dtype of offset")

    batch, channels, height, width = input.shape
    out_channels, per_group, *kernel = weight.shape
    taps = kernel[0] * kernel[1]
    if channels == 0 or per_group == 0 or taps == 0:
        raise ArgumentError(
            f"deform_conv2d: input {tuple(input.shape)} and weight {tuple(weight.shape)} must have at least one "
            "input channel and one tap"
        )
    if channels % per_group:
        raise ArgumentError(
            f"deform_conv2d: weight takes {per_group} channels per group, which does not divide the {channels} "
            f"channels of input"
        )
    groups = channels // per_group
    if out_channels % groups:
        raise ArgumentError(f"deform_conv2d: {out_channels} output channels cannot be split into {groups} groups")
    if offset.shape[1] == 0 or offset.shape[1] % (2 * taps):
        raise ArgumentError(
            f"deform_conv2d: offset has {offset.shape[1]} channels, expected a multiple of {2 * taps} (two for each of "
            f"the {kernel[0]}x{kernel[1]} taps, times the offset groups){_mask_hint(offset.shape[1], taps, mask)}"
        )
    offset_groups = offset.shape[1] // (2 * taps)
    if channels % offset_groups:
        raise ArgumentError(
            f"deform_conv2d: offset has {offset_groups} offset groups, which do not divide the {channels} channels "
            f"of input"
            f"{_mask_hint(offset.shape[1], taps, mask)}"
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
        raise ArgumentError(
            f"deform_conv2d: the output would be {size[0]}x{size[1]} pixels: input of {height}x{width}, kernel of "
            f"{kernel[0]}x{kernel[1]}, {attributes}"
        )
    expected_offset = (batch, 2 * offset_groups * taps, *size)
    if tuple(offset.shape) != expected_offset:
        hint = _padding_hint(input, offset, (kernel[0], kernel[1]), attributes)
        _shape("offset", offset, expected_offset, "batch, 2 * offset groups * taps, output size", hint)
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
