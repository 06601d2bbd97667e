"""Checks the arguments of deform_attn, and converts them for the operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import torch
from torch import Tensor

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.ops.arguments import HALF, SIDE_LIMIT, check_dense, check_tensor, integer
from dcnbuild.ops.torch_versions import is_compiling

NAME = "deform_attn"
#: The largest number of levels; kMaxLevels of csrc/deform_attn/geometry.h.
LEVELS = 64
_PAIRS = "a tensor [levels, 2] of integers, or a pair of ints (height, width) for each level"


def sides(function: str, spatial_shapes: Any) -> list[tuple[int, int]]:
    """Returns the levels' sizes as pairs of ints; reading them from a tensor on a GPU waits for the GPU.

    Raises:
        ArgumentTypeError: neither a tensor of integers nor pairs of ints.
        ArgumentError: a tensor of another shape, or a side that is not from 1 to 2^30 - 1.
    """
    if isinstance(spatial_shapes, Tensor):
        return _read(function, spatial_shapes)
    if isinstance(spatial_shapes, (str, bytes, Set, Mapping)):
        raise _no_pairs(function, spatial_shapes)
    try:
        rows = [tuple(row) for row in spatial_shapes]
    except TypeError:
        raise _no_pairs(function, spatial_shapes) from None
    if any(len(row) != 2 for row in rows):
        raise _no_pairs(function, spatial_shapes)
    pairs = []
    for level, (height, width) in enumerate(rows):
        pair = (
            integer(function, f"spatial_shapes[{level}][0]", height),
            integer(function, f"spatial_shapes[{level}][1]", width),
        )
        if min(pair) < 1 or max(pair) >= SIDE_LIMIT:
            raise ArgumentError(
                f"{function}: spatial_shapes[{level}] is {pair}, expected a height and a width from 1 to 2^30 - 1"
            )
        pairs.append(pair)
    return pairs


def _no_pairs(function: str, given: Any) -> ArgumentTypeError:
    return ArgumentTypeError(f"{function}: spatial_shapes must be {_PAIRS}, got {given!r}")


def check_sizes(function: str, spatial_shapes: Tensor) -> None:
    """Raises ArgumentError unless the tensor is [levels, 2] of integers that can be read."""
    check_dense(function, "spatial_shapes", spatial_shapes)
    if spatial_shapes.is_floating_point() or spatial_shapes.is_complex():
        raise ArgumentTypeError(f"{function}: spatial_shapes is {spatial_shapes.dtype}, expected {_PAIRS}")
    if spatial_shapes.dim() != 2 or spatial_shapes.shape[1] != 2:
        raise ArgumentError(
            f"{function}: spatial_shapes has shape {tuple(spatial_shapes.shape)}, expected (levels, 2): height and "
            f"width of "
            "each level"
        )
    if spatial_shapes.is_meta:
        raise ArgumentError(
            f"{function}: spatial_shapes is on the meta device, which holds no numbers; expected {_PAIRS}"
        )


def _read(function: str, spatial_shapes: Tensor) -> list[tuple[int, int]]:
    check_sizes(function, spatial_shapes)
    rows = spatial_shapes.tolist()
    if is_compiling():
        # A tracer does not know these numbers, so the graph gets these conditions on them.
        for height, width in rows:
            torch._check(height >= 1)
            torch._check(width >= 1)
        return [(height, width) for height, width in rows]
    return sides(function, rows)


def parse(
    value: Tensor,
    spatial_shapes: Tensor | Sequence[Sequence[int]],
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> list[int]:
    """Checks a call and returns the operator's spatial_shapes: h0, w0, h1, w1, …

    Raises:
        ArgumentTypeError: something is not a tensor, not of a floating dtype, or dtypes do not go together.
        ArgumentError: a shape or device does not fit; the message names it, what was given and what was expected.
    """
    for name, tensor, rank in (
        ("value", value, 4),
        ("sampling_locations", sampling_locations, 6),
        ("attention_weights", attention_weights, 5),
    ):
        _check_tensor(name, tensor, rank, value)
    if attention_weights.dtype != sampling_locations.dtype:
        raise ArgumentTypeError(
            f"{NAME}: attention_weights is {attention_weights.dtype}, expected {sampling_locations.dtype}, the "
            f"dtype of "
            "sampling_locations"
        )
    batch, positions, heads, width = value.shape
    pairs = sides(NAME, spatial_shapes)
    queries, points = sampling_locations.shape[1], sampling_locations.shape[4]
    if heads == 0 or width == 0 or points == 0 or not 1 <= len(pairs) <= LEVELS:
        raise ArgumentError(
            f"{NAME}: value has shape {tuple(value.shape)}, spatial_shapes {len(pairs)} levels, and "
            f"sampling_locations {points} "
            f"points; expected 1 to {LEVELS} levels, and at least one head, channel and point"
        )
    expected = (batch, queries, heads, len(pairs), points, 2)
    if tuple(sampling_locations.shape) != expected:
        raise ArgumentError(
            f"{NAME}: sampling_locations has shape {tuple(sampling_locations.shape)}, expected {expected} (batch, "
            f"queries, "
            "heads, levels, points, x and y)"
        )
    if tuple(attention_weights.shape) != expected[:5]:
        raise ArgumentError(
            f"{NAME}: attention_weights has shape {tuple(attention_weights.shape)}, expected {expected[:5]} (batch, "
            f"queries, "
            "heads, levels, points)"
        )
    total = sum(height * width for height, width in pairs)
    if isinstance(spatial_shapes, Tensor) and is_compiling():
        torch._check(total == positions)
    elif total != positions:
        raise ArgumentError(
            f"{NAME}: value has {positions} positions, expected {total}, the pixels of the levels {pairs}"
        )
    return [side for pair in pairs for side in pair]


def _check_tensor(name: str, tensor: Any, rank: int, value: Tensor) -> None:
    check_tensor(NAME, name, tensor, rank, value, of="value")
    allowed: tuple[torch.dtype, ...] = (value.dtype,)
    if name != "value" and value.dtype in HALF:
        allowed = (value.dtype, torch.float32)
    if tensor.dtype not in allowed:
        expected = " or ".join(map(str, allowed))
        raise ArgumentTypeError(
            f"{NAME}: {name} is {tensor.dtype}, expected {expected} beside a value of {value.dtype}"
        )
