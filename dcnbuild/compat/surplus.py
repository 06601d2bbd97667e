"""Accepts offsets and masks that are larger than the call needs: like old operators, reads the first values in memory
order.

DyHead's published weights depend on this: DyHead passes the offsets of one pyramid level to the next smaller level.
mmcv's modulated operator (mmcv/ops/csrc/…/modulated_deform_conv_cuda_kernel.cuh) reads each image's map with the
strides of the output. DCNv2's pooling reads the whole tensor with the number and size of the RoIs' cells. Neither reads
outside the tensor, so their results are well defined, and dcnbuild's are the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from dcnbuild.ops.arguments import pair
from dcnbuild.ops.reference.deform_conv2d import Attributes, output_size
from dcnbuild.ops.torch_versions import is_compiling

Size = int | Sequence[int]


def map_size(input: Tensor, weight: Tensor, stride: Size, padding: Size, dilation: Size) -> tuple[int, int]:
    """Returns height and width of a convolution's offset map, in pixels."""
    attributes = Attributes(pair("stride", stride, 1), pair("padding", padding, 0), pair("dilation", dilation, 1), 1, 1)
    kernel = (weight.shape[2], weight.shape[3])
    return output_size(input.shape[2], input.shape[3], kernel, attributes)


def is_larger(tensor: Tensor, size: tuple[int, int]) -> bool:
    """Whether a map [N, C, H″, W″] is larger than `size` in one or both directions, and smaller in none."""
    given = (tensor.shape[2], tensor.shape[3])
    return given != size and given[0] >= size[0] > 0 and given[1] >= size[1] > 0


def first_of_each_image(name: str, tensor: Tensor, size: tuple[int, int]) -> Tensor:
    """[N, C, H″, W″] → [N, C, H', W']: takes the first C·H'·W' values of each image, with a warning.

    Returns a map that fits as it is. Also returns a map that is smaller in one direction, which the operator refuses.
    """
    if not is_larger(tensor, size):
        return tensor
    _warn(name, tensor, (*tensor.shape[:2], *size), "each image's")
    values = tensor.shape[1] * size[0] * size[1]
    return tensor.flatten(1)[:, :values].reshape(*tensor.shape[:2], *size)


def first_of_both(offset: Tensor, mask: Tensor, input: Tensor, weight: Tensor, *sizes: Size) -> tuple[Tensor, Tensor]:
    """Calls `first_of_each_image` for offset and mask of a convolution with these sizes: stride, padding and
    dilation.
    """
    if not input.dim() == offset.dim() == mask.dim() == weight.dim() == 4:
        return offset, mask
    size = map_size(input, weight, *sizes)
    return first_of_each_image("offset", offset, size), first_of_each_image("mask", mask, size)


def first_of_all(name: str, tensor: Tensor, rois: Tensor, cells: tuple[int, int]) -> Tensor:
    """[R″, C, rows″, columns″] → [R, C, rows, columns]: takes the first values, with a warning, unless the tensor
    fits.
    """
    if tensor.dim() != 4 or rois.dim() != 2:
        return tensor
    expected = (rois.shape[0], tensor.shape[1], *cells)
    if tuple(tensor.shape) == expected or any(given < wanted for given, wanted in zip(tensor.shape, expected)):
        return tensor
    _warn(name, tensor, expected, "its")
    count = expected[0] * expected[1] * cells[0] * cells[1]
    return tensor.flatten()[:count].reshape(expected)


def back_to_full(grad: Tensor, like: Tensor) -> Tensor:
    """Extends the gradient of the values that `first_of_each_image` took to the whole tensor, with zeros behind
    them.
    """
    if grad.shape == like.shape:
        return grad
    full = grad.new_zeros(like.shape[0], like[0].numel())
    full[:, : grad[0].numel()] = grad.flatten(1)
    return full.reshape(like.shape)


def back_to_all(grad: Tensor, like: Tensor) -> Tensor:
    """Extends the gradient of the values that `first_of_all` took to the whole tensor, with zeros behind them."""
    if grad.shape == like.shape:
        return grad
    full = torch.zeros_like(like, memory_format=torch.contiguous_format)
    full.view(-1)[: grad.numel()] = grad.flatten()
    return full


def _warn(name: str, tensor: Tensor, expected: tuple[int, ...], whose: str) -> None:
    if is_compiling():  # a warning would break the graph
        return
    warnings.warn(
        f"{name} has shape {tuple(tensor.shape)}, expected {expected}: {whose} first values are read, as they lie "
        f"in memory, "
        "which is what the operator that dcnbuild stands in for does",
        UserWarning,
        stacklevel=5,
    )
