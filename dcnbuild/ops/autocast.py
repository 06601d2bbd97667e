"""Converts the operators' arguments for autocast.

`torch.library.register_autocast` has one dtype for all inputs, but offsets are positions. Beyond 1024 pixels, a float16
position has no fraction; beyond 128 pixels, a bfloat16 position has none. So data becomes half, and positions stay
float32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from dcnbuild.errors import ArgumentTypeError
from dcnbuild.ops.torch_versions import get_autocast_dtype, is_autocast_enabled


def autocast_enabled(input: Any) -> bool:
    """Whether autocast is on for the device of `input`. Other objects count as on the CPU; the checks refuse them
    later.

    torch would raise for a device without autocast, such as "meta".
    """
    device = input.device.type if isinstance(input, Tensor) else "cpu"
    return device in ("cpu", "cuda") and is_autocast_enabled(device)


def check_dtype(function: str, name: str, tensor: Tensor, weight: Any) -> None:
    """Raises ArgumentTypeError where a layer inside of a module would refuse the module's input in its own words.

    `weight` is the layer's; anything but a plain parameter is left to the layer, and so is autocast.
    """
    if type(weight) is not Parameter or tensor.dtype == weight.dtype or autocast_enabled(tensor):
        return
    raise ArgumentTypeError(
        f"{function}: {name} is {tensor.dtype}, and the module's weights are {weight.dtype}; convert one of them: "
        f"{name}.to({weight.dtype})" + (f", or module.to({tensor.dtype})" if tensor.is_floating_point() else "")
    )


def autocast(arguments: Mapping[str, Any], positions: Collection[str]) -> dict[str, Any]:
    """Converts a call's arguments to autocast's dtypes for the device of the first argument.

    Data gets the autocast dtype, and positions get float32. If any tensor is float64, all become float64, since
    autocast never lowers float64. Other objects stay as they are, and the checks refuse them.

    Args:
        arguments: the call's arguments by name; the first is a tensor.
        positions: the names of the arguments that are positions.
    """
    floating = {name: t for name, t in arguments.items() if _is_floating(t)}
    if any(tensor.dtype == torch.float64 for tensor in floating.values()):
        dtype = position_dtype = torch.float64
    else:
        device = next(iter(arguments.values())).device.type
        dtype, position_dtype = get_autocast_dtype(device), torch.float32
    cast = {n: t.to(position_dtype if n in positions else dtype) for n, t in floating.items()}
    return {**arguments, **cast}


def _is_floating(argument: Any) -> bool:
    return isinstance(argument, Tensor) and argument.is_floating_point()
