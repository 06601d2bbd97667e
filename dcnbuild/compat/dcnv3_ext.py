"""The raw calls of InternImage's extension `DCNv3`. Autograd records none of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dcnbuild.compat.dcnv3 import dcnv3
from dcnbuild.compat.shared import gradients_of

__all__ = ["dcnv3_backward", "dcnv3_forward"]


@torch.no_grad()
def dcnv3_forward(input: Tensor, offset: Tensor, mask: Tensor, *numbers: Any) -> Tensor:
    """Returns [N, H', W', C].

    Args:
        numbers: kernel, stride, pad and dilation as (h, w) each, group, group_channels, offset_scale, im2col_step, and
            remove_center, which older copies do not have.
    """
    return dcnv3(input, offset, mask, *numbers)


def dcnv3_backward(input: Tensor, offset: Tensor, mask: Tensor, *numbers: Any) -> list[Tensor]:
    """Returns the gradients of input, offset and mask; `numbers` have grad_output before im2col_step."""
    *shape, grad_output = numbers[:12]
    return gradients_of(lambda *tensors: dcnv3(*tensors, *shape, *numbers[12:]), (input, offset, mask), grad_output)
