"""Decides which calls of deform_conv2d the fused kernels serve: DCNBUILD_FUSED, and pure functions of shapes and the
GPU.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from dcnbuild.base.versions import numbers
from dcnbuild.ops.fused.shapes import Shape

Mode = Literal["auto", "on", "off"]
VARIABLE = "DCNBUILD_FUSED"
#: The oldest Triton that is let in. The tests ran with 3.8, which comes with torch 2.14.
TRITON = (3, 5)
#: The oldest GPU with the tensor cores that the kernels use, for TF32 and bfloat16.
CAPABILITY = (8, 0)
#: Counts and coordinates of the kernels are 32 bits wide.
LIMIT = 1 << 30


def mode(env: Mapping[str, str] = os.environ) -> Mode:
    """Returns the value of DCNBUILD_FUSED, "auto" if it is not set. Raises ValueError for anything else."""
    text = env.get(VARIABLE) or "auto"
    value: Mode
    for value in get_args(Mode):
        if text == value:
            return value
    raise ValueError(f"{VARIABLE} is {text!r}, expected auto, on or off, or unset")


def unavailable() -> str | None:
    """Why no call can be served here, or None. It imports torch, but not triton."""
    import torch

    if not hasattr(torch.library, "get_kernel"):
        return f"it needs torch 2.10 or later, and this is torch {torch.__version__}"
    try:
        there = importlib.util.find_spec("triton") is not None
    except ValueError:  # sys.modules says that it must not be imported
        there = False
    if not there:
        return "it needs triton, which is not installed; torch's wheels for CUDA on Linux bring it"
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("triton")
    except PackageNotFoundError:
        return None  # a build of one's own: the import will tell
    if numbers(found)[:2] < TRITON:
        return f"it needs triton {'.'.join(map(str, TRITON))} or later, and this is {found}"
    return None


@dataclass(frozen=True)
class Device:
    """What a decision reads of a GPU."""

    capability: tuple[int, int]
    processors: int


def refusal(mode: Mode, shape: Shape, device: Device, *, in_order: bool = False) -> str | None:
    """Why the chunked route serves a call, or None if the fused one does.

    Args:
        in_order: whether the call wants the gradient of the input, and always the same bits.
    """
    if mode == "auto":
        return "no GPU has measured the fused kernels yet, so DCNBUILD_FUSED=auto is off"
    if mode == "off":
        return "DCNBUILD_FUSED=off"
    if device.capability < CAPABILITY:
        return f"it needs compute capability 8.0 or later, and this is {'.'.join(map(str, device.capability))}"
    if shape.element_size == 8:
        return "float64 takes the chunked route"
    if in_order:
        return "it adds to the input's gradient in any order, and torch wants deterministic algorithms"
    sizes = (shape.batch, shape.channels, *shape.size, shape.out_channels, *shape.out_size)
    if min(sizes) == 0:
        return "a tensor has no elements"
    counts = (
        shape.size[0] * shape.size[1],
        shape.positions,
        shape.programs // 16,
        *shape.padded,
        shape.channels * shape.taps,
        2 * shape.offset_groups * shape.taps,
        shape.out_channels,
        shape.channels,
    )
    if max(counts) >= LIMIT:
        return "an image, a kernel or a map is too large for 32-bit counts"
    return None
