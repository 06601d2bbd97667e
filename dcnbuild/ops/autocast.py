"""What autocast does to the arguments of the operators.

`torch.library.register_autocast` knows one dtype for all inputs, but offsets are positions: in float16 a position beyond
1024 pixels has no fraction left and in bfloat16 one beyond 128. So data becomes half, and what says where to sample stays float32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


def autocast(arguments: Mapping[str, Any], positions: Collection[str]) -> dict[str, Any]:
    """Arguments with the dtypes that autocast asks for on the device of the first.

    Data becomes the autocast dtype, and what says where to sample float32; if any tensor is float64, all become float64,
    since autocast never lowers that. What is no floating tensor is left as it is, for the checks to name.

    Args:
        arguments: a call's, by name; the first is a tensor.
        positions: the names of those that say where to sample.
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
