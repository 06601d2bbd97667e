"""Shared code of the old names: one call of the convolution, initialisations, and small helpers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import handle_torch_function

from dcnbuild.compat.surplus import first_of_both
from dcnbuild.nn import DeformConv2d
from dcnbuild.ops.autocast import autocast_enabled
from dcnbuild.ops.deform_conv2d import deform_conv2d
from dcnbuild.ops.torch_versions import has_torch_function_variadic

Size = int | Sequence[int]


def deform_conv(
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size,
    dilation: Size,
    groups: int,
    offset_groups: int,
    one_dtype: bool = False,
    pad_small: bool = False,
) -> Tensor:
    """Calls `dcnbuild.deform_conv2d`, and checks that the two counts match the shapes.

    With a mask, offset and mask may be larger than the output: their first values are read, with a warning
    (surplus.py). torch.fx keeps this function as one call, since it branches on shapes.

    Args:
        one_dtype: compute in the dtype of `offset`, as mmcv does.
        pad_small: pad an image smaller than the kernel with zeros below and to the right, and cut the output, as mmcv's
            and mmdetection's v1 do.

    Raises ValueError if a count does not fit, and the errors of `dcnbuild.deform_conv2d`.
    """
    if has_torch_function_variadic(input, offset, mask, weight, bias):
        return handle_torch_function(
            deform_conv, (input, offset, mask, weight, bias), input, offset, mask, weight, bias,
            stride, padding, dilation, groups, offset_groups, one_dtype=one_dtype, pad_small=pad_small,
        )  # fmt: skip
    if one_dtype:
        input, mask, weight, bias = _with_one_dtype(input, offset, mask, weight, bias)
    down = right = 0
    if pad_small and input.dim() == weight.dim() == offset.dim() == 4:
        down = max(weight.shape[2] - input.shape[2], 0)
        right = max(weight.shape[3] - input.shape[3], 0)
    if down or right:
        edges = (0, right, 0, down)
        input, offset = F.pad(input, edges), F.pad(offset, edges)
    if input.dim() == weight.dim() == offset.dim() == 4:
        if input.shape[1] != groups * weight.shape[1]:
            raise ValueError(
                f"input has {input.shape[1]} channels, expected {groups * weight.shape[1]}: groups={groups} times the "
                f"{weight.shape[1]} channels that weight {tuple(weight.shape)} takes"
            )
        expected = 2 * offset_groups * weight.shape[2] * weight.shape[3]
        if offset.shape[1] != expected:
            raise ValueError(
                f"offset has {offset.shape[1]} channels, expected {expected}: 2 x {offset_groups} offset groups x "
                f"{weight.shape[2]}x{weight.shape[3]} taps"
            )
        if mask is not None:
            offset, mask = first_of_both(offset, mask, input, weight, stride, padding, dilation)
    output = deform_conv2d(input, offset, weight, bias, stride=stride, padding=padding, dilation=dilation, mask=mask)
    if not down and not right:
        return output
    return output[:, :, : output.shape[2] - down, : output.shape[3] - right]


def _with_one_dtype(input: Tensor, offset: Tensor, *others: Tensor | None) -> tuple[Any, ...]:
    """Converts `input` and the others to the dtype of `offset`; under autocast, leaves that to autocast."""
    if autocast_enabled(input):
        return (input, *others)
    return tuple(t if t is None else t.type_as(offset) for t in (input, *others))


def as_function(call: Callable[..., Any]) -> Any:
    """Returns an object whose `apply` is `call`, for code that calls `SomeFunction.apply`."""
    return type(call.__name__, (), {"apply": staticmethod(call), "__doc__": call.__doc__})


def gradients_of(function: Callable[..., Tensor], tensors: Sequence[Tensor], grad_output: Tensor) -> list[Tensor]:
    """The gradients of the tensors that a function takes, recorded by nothing: for an extension's backward call."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    with torch.enable_grad():
        output = function(*leaves)
    return list(torch.autograd.grad(output, leaves, grad_output.reshape(output.shape).to(output)))


def uniform_by_fan_in(module: DeformConv2d) -> None:
    """Initialises like DCNv2, mmdetection and mmcv: weight uniform in ±1/√(C·kh·kw), for any groups; bias zero."""
    bound = (module.in_channels * module.kernel_size[0] * module.kernel_size[1]) ** -0.5
    nn.init.uniform_(module.weight, -bound, bound)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def kaiming(module: DeformConv2d) -> None:
    """Initialises like mmcv's v1 and detectron2's convolutions: Kaiming-uniform for a ReLU; bias zero."""
    nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def fully_connected(*widths: int) -> nn.Sequential:
    """Returns linear layers with ReLUs between them, the last set to zero; they predict a pooling's offsets or mask."""
    layers: list[nn.Module] = []
    for into, out in itertools.pairwise(widths):
        layers += [nn.Linear(into, out), nn.ReLU(inplace=True)]
    layers.pop()
    for parameter in layers[-1].parameters():
        nn.init.zeros_(parameter)
    return nn.Sequential(*layers)


def check_output_dim(input: Tensor, output_dim: int, group_size: int) -> None:
    """Raises ValueError unless `input` has output_dim · group_size² channels, as in DCNv2's pooling."""
    if input.dim() == 4 and input.shape[1] != output_dim * group_size**2:
        raise ValueError(
            f"input has {input.shape[1]} channels, expected {output_dim * group_size**2}: output_dim={output_dim} "
            f"times "
            f"group_size={group_size} squared"
        )
