"""Checks the arguments of deform_sample, and converts them for the operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.ops.arguments import HALF, check_number, check_tensor, pair
from dcnbuild.ops.reference.deform_sample import Attributes, output_size, taps

NAME = "deform_sample"
Size = int | Sequence[int]


def attributes(
    kernel_size: Size,
    stride: Size,
    padding: Size,
    dilation: Size,
    offset_scale: float,
    remove_center: bool,
    function: str = NAME,
    names: Sequence[str] = Attributes._fields,
) -> Attributes:
    """Checks the arguments of a call that are not tensors.

    Args:
        function, names: the names of the function and of these arguments in errors, in order.

    Raises:
        ArgumentTypeError: a number or flag is of another type.
        ArgumentError: one is out of range, or there is no centre to remove.
    """
    a = Attributes(
        pair(names[0], kernel_size, 1, function),
        pair(names[1], stride, 1, function),
        pair(names[2], padding, 0, function),
        pair(names[3], dilation, 1, function),
        check_number(function, names[4], offset_scale, positive=False),
        bool(remove_center),
    )
    if remove_center not in (0, 1):  # True and False equal these
        raise ArgumentTypeError(f"{function}: {names[5]} must be True or False, got {remove_center!r}")
    if a.remove_center and (taps(a) < 1 or any(side % 2 == 0 for side in a.kernel_size)):
        raise ArgumentError(
            f"{function}: {names[5]} needs a kernel with odd sides and more than one tap, got "
            f"{names[0]}={kernel_size!r}"
        )
    return a


def check(input: Tensor, offset: Tensor, mask: Tensor, a: Attributes) -> None:
    """Checks the tensors of a call.

    Raises:
        ArgumentTypeError: something is not a tensor, not of a floating dtype, or dtypes do not go together.
        ArgumentError: a shape or device does not fit; the message names it, what was given and what was expected.
    """
    for name, tensor, rank in (("input", input, 4), ("offset", offset, 6), ("mask", mask, 5)):
        check_tensor(NAME, name, tensor, rank, input)
        allowed: tuple[Any, ...] = (input.dtype,)
        if name != "input" and input.dtype in HALF:
            allowed = (input.dtype, torch.float32)
        if tensor.dtype not in allowed:
            expected = " or ".join(map(str, allowed))
            raise ArgumentTypeError(f"{NAME}: {name} is {tensor.dtype}, expected {expected} for {input.dtype} input")
    if mask.dtype != offset.dtype:
        raise ArgumentTypeError(f"{NAME}: mask is {mask.dtype}, expected {offset.dtype}, the dtype of offset")
    batch, height, width, channels = input.shape
    groups = offset.shape[3]
    if channels == 0 or groups == 0 or channels % groups:
        raise ArgumentError(
            f"{NAME}: offset has {groups} groups (dimension 3), which do not divide the {channels} channels of input "
            f"{tuple(input.shape)}, (batch, height, width, channels)"
        )
    size = output_size(height, width, a)
    if size[0] <= 0 or size[1] <= 0:
        raise ArgumentError(f"{NAME}: the output would be {size[0]}x{size[1]} pixels: input of {height}x{width}, {a}")
    expected_mask = (batch, *size, groups, taps(a))
    expected_offset = (*expected_mask, 2)
    if tuple(offset.shape) != expected_offset:
        raise ArgumentError(
            f"{NAME}: offset has shape {tuple(offset.shape)}, expected {expected_offset} (batch, output size, "
            f"groups, taps, "
            "x and y)"
        )
    if tuple(mask.shape) != expected_mask:
        raise ArgumentError(
            f"{NAME}: mask has shape {tuple(mask.shape)}, expected {expected_mask} (batch, output size, groups, taps)"
        )
