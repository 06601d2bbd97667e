"""What autocast does to the arguments of the operators.

`torch.library.register_autocast` knows one dtype for all inputs, but offsets are positions: in float16 a position beyond
1024 pixels has no fraction left and in bfloat16 one beyond 128. So data becomes half and offset and mask stay float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dcnbuild.ops.torch_versions import get_autocast_dtype, is_autocast_enabled


def autocast_enabled(input: Any) -> bool:
    """Whether autocast is on where `input` is; what is no tensor is left for the checks to name.

    torch raises if it is asked about a device that it has no autocast for, such as "meta".
    """
    device = input.device.type if isinstance(input, Tensor) else "cpu"
    return device in ("cpu", "cuda") and is_autocast_enabled(device)


def autocast_arguments(
    input: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor | None
) -> tuple[Any, ...]:
    """The arguments of a convolution with the dtypes that autocast asks for on the input's device."""
    (input, weight, bias), (offset, mask) = autocast((input, weight, bias), (offset, mask))
    return input, offset, mask, weight, bias


def autocast(
    data: tuple[Any, ...], positions: tuple[Any, ...]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Arguments with the dtypes that autocast asks for on the device of the first of `data`.

    Data becomes the autocast dtype, and what says where to sample float32; if any of them is float64, all become
    float64, since autocast never lowers that. What is no floating tensor is left for the checks to name.
    """
    if any(_is_floating(t) and t.dtype == torch.float64 for t in (*data, *positions)):
        dtype = position_dtype = torch.float64
    else:
        dtype, position_dtype = get_autocast_dtype(data[0].device.type), torch.float32
    return _cast(data, dtype), _cast(positions, position_dtype)


def _cast(arguments: tuple[Any, ...], dtype: torch.dtype) -> tuple[Any, ...]:
    return tuple(t.to(dtype) if _is_floating(t) else t for t in arguments)


def _is_floating(argument: Any) -> bool:
    return isinstance(argument, Tensor) and argument.is_floating_point()
