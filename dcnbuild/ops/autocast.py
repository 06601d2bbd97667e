"""What autocast does to a call of deform_conv2d.

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
    """The arguments with the dtypes that autocast asks for on the input's device.

    Input, weight and bias become the autocast dtype, offset and mask float32; if any of them is float64, all become
    float64, since autocast never lowers that.
    """
    tensors = (input, offset, mask, weight, bias)
    floating = [t for t in tensors if isinstance(t, Tensor) and t.is_floating_point()]
    if any(t.dtype == torch.float64 for t in floating):
        data = position = torch.float64
    else:
        data, position = get_autocast_dtype(input.device.type), torch.float32

    def cast(tensor: Any, dtype: torch.dtype) -> Any:
        # What is no floating tensor is left for the checks to name.
        return (
            tensor.to(dtype)
            if isinstance(tensor, Tensor) and tensor.is_floating_point()
            else tensor
        )

    return (
        cast(input, data),
        cast(offset, position),
        cast(mask, position),
        cast(weight, data),
        cast(bias, data),
    )
