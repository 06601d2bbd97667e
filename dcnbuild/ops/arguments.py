"""Checks of arguments that every operator shares."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Set
from typing import Any

import torch
from torch import Tensor

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.ops.reference.images import SIDE_LIMIT

FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
HALF = (torch.float16, torch.bfloat16)

#: The largest number of bins, cells, groups or samples along one axis of a pooling.
LIMIT = 32768


def integer(function: str, name: str, value: Any, meaning: str = "an int") -> int:
    """Returns an int for an int or anything that `operator.index` accepts, such as a numpy integer, but not for a bool.

    Raises ArgumentTypeError for other values.
    """
    if type(value) is int or isinstance(value, torch.SymInt):
        return value  # type: ignore[return-value]
    try:
        if _is_bool(value):
            raise TypeError
        return int(operator.index(value))  # int() makes a plain int of an enumeration's member
    except (TypeError, RuntimeError):  # RuntimeError: the value is a tensor without storage
        raise ArgumentTypeError(f"{function}: {name} must be {meaning}, got {value!r}") from None


def _is_bool(value: Any) -> bool:
    """Whether it is a bool of Python, torch or numpy, of which numpy 1 makes an index."""
    return isinstance(value, bool) or getattr(value, "dtype", None) in (torch.bool, bool)


def pair(name: str, value: Any, least: int, function: str = "deform_conv2d") -> tuple[int, int]:
    """Returns an int or two ints as (y, x), each from `least` to 2^30 - 1.

    Raises:
        ArgumentTypeError: not an int nor two ints.
        ArgumentError: an element is out of range.
    """
    if type(value) is int:
        elements: tuple[Any, ...] = (value, value)
    elif isinstance(value, (tuple, list)):  # by itself, since torch 2.1 traces no hasattr of a tuple
        elements = tuple(value)
    elif isinstance(value, (str, bytes, Set, Mapping)) or not hasattr(value, "__len__"):
        elements = (
            value,
            value,
        )  # `integer` refuses these: text, or a set of two ints, which has no order
    else:
        try:
            elements = tuple(value)
        except TypeError:  # the value is an array without dimensions
            elements = (value, value)
    meaning = "an int or two ints"
    if len(elements) != 2:
        raise ArgumentTypeError(f"{function}: {name} must be {meaning}, got {value!r}")
    y, x = elements
    if not (type(y) is int and type(x) is int):
        try:
            y, x = integer(function, name, y), integer(function, name, x)
        except ArgumentTypeError:
            raise ArgumentTypeError(f"{function}: {name} must be {meaning}, got {value!r}") from None
    if y < least or x < least:
        raise ArgumentError(f"{function}: {name} must be at least {least}, got {value!r}")
    if y >= SIDE_LIMIT or x >= SIDE_LIMIT:
        raise ArgumentError(f"{function}: {name} must be below 2^30, got {value!r}")
    return y, x


#: Other packages' names of the number of offset groups.
_OFFSET_GROUPS = ("deformable_groups", "deform_groups", "num_deformable_groups", "n_offset_grps")


def refuse_keywords(what: str, unknown: Mapping[str, Any], groups_hint: str) -> None:
    """Raises ArgumentTypeError for keywords that `what` does not have; `groups_hint` says what replaces offset
    groups.
    """
    for name in unknown:
        hint = f": {groups_hint}" if name in _OFFSET_GROUPS else ""
        raise ArgumentTypeError(f"{what} got an unexpected keyword argument {name!r}{hint}")


def check_dense(function: str, name: str, tensor: Tensor) -> None:
    """Raises ArgumentTypeError for a tensor that is not strided, or not on a CPU or a GPU."""
    if tensor.device.type not in ("cpu", "cuda", "meta"):
        raise ArgumentTypeError(
            f"{function}: {name} is on {tensor.device}, expected a CPU or CUDA tensor; move it with .to(), or build "
            "kernels for that device"
        )
    kind = None
    if tensor.is_nested:
        kind = "a nested tensor"
    elif tensor.is_quantized:
        kind = f"quantized ({tensor.dtype})"
    elif tensor.layout is not torch.strided:
        kind = f"of layout {tensor.layout}"
    if kind is not None:
        remedy = {"a nested tensor": "pass the tensors of .unbind() one by one, or .to_padded_tensor(0)"}.get(
            kind, ".dequantize()" if tensor.is_quantized else ".to_dense()"
        )
        raise ArgumentTypeError(f"{function}: {name} is {kind}, expected a strided tensor: {remedy}")


def check_tensor(function: str, name: str, tensor: Any, rank: int, input: Tensor, of: str = "input") -> None:
    """Checks everything of a tensor except its sizes; `of` is the function's name of `input`.

    Raises:
        ArgumentTypeError: not a tensor, or not one of a floating dtype.
        ArgumentError: it has other than `rank` dimensions, or is not on the device of `input`.
    """
    if not isinstance(tensor, Tensor):
        raise ArgumentTypeError(f"{function}: {name} must be a tensor, got {type(tensor).__name__}")
    if tensor.is_nested or tensor.layout is not torch.strided:
        check_dense(function, name, tensor)  # before its shape, which a nested tensor does not have
    if tensor.dim() != rank:
        raise ArgumentError(f"{function}: {name} has {tensor.dim()} dimensions {tuple(tensor.shape)}, expected {rank}")
    if tensor.dtype not in FLOATING:
        raise ArgumentTypeError(f"{function}: {name} is {tensor.dtype}, expected float64, float32, float16 or bfloat16")
    if tensor.device != input.device:
        raise ArgumentError(f"{function}: {name} is on {tensor.device}, expected {input.device}, where {of} is")


def check_integer(function: str, name: str, value: Any, least: int) -> int:
    """Returns an int from `least` to LIMIT; raises ArgumentTypeError or ArgumentError."""
    value = integer(function, name, value)
    if not least <= value <= LIMIT:
        raise ArgumentError(f"{function}: {name} must be from {least} to {LIMIT}, got {value}")
    return value


def check_number(function: str, name: str, value: Any, positive: bool) -> float:
    """Returns a finite float for anything that is a number; raises ArgumentTypeError or ArgumentError."""
    given = value
    if not isinstance(value, (float, torch.SymInt, torch.SymFloat)):
        value = _as_float(value)
    if value is None:
        raise ArgumentTypeError(f"{function}: {name} must be a float, got {given!r}")
    # Uses comparisons, which Dynamo can trace for a symbolic float.
    if not -math.inf < value < math.inf or (positive and value <= 0):
        kind = "positive and finite" if positive else "finite"
        raise ArgumentError(f"{function}: {name} must be {kind}, got {value}")
    return float(value)


def _as_float(value: Any) -> float | None:
    """Returns a float for a number, such as numpy's float32; None for a bool, text, or an array of numbers."""
    # numpy 1 makes a float of an array with one number, numpy 2 does not
    if _is_bool(value) or getattr(value, "ndim", 0) != 0 or not hasattr(type(value), "__float__"):
        return None
    try:
        return float(value)
    except OverflowError:  # the value is a very large int
        return math.inf
    except (
        TypeError,
        ValueError,
        RuntimeError,
    ):  # the value is an array, or a tensor without storage
        return None
