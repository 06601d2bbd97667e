"""Deformable convolution v1 and v2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dcnbuild.ops import deform_conv2d_vmap, onnx
from dcnbuild.ops.deform_conv2d_arguments import parse
from dcnbuild.ops.fused import register
from dcnbuild.ops.operator import Flops, Operator
from dcnbuild.ops.public import public
from dcnbuild.ops.reference import deform_conv2d as reference
from dcnbuild.ops.reference.deform_conv2d import Attributes, output_size
from dcnbuild.ops.reference.images import memory_format_of
from dcnbuild.ops.scripting import scripted


@public(positions=("offset", "mask"))
def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    mask: Tensor | None = None,
) -> Tensor:
    """Deformable convolution v2 (v1 without `mask`), with torchvision's signature and conventions.

    Every tap k of the kernel samples the input bilinearly at its usual place plus a learned offset, times a learned
    mask: y(p) = Σ_k w_k · x(p + p_k + Δp_k) · Δm_k (Zhu et al., "Deformable ConvNets v2", 2019, equation 1; Dai et al.,
    "Deformable Convolutional Networks", 2017, without the mask). A sample counts if -1 < y < H and -1 < x < W; pixels
    outside the image are zero. At exactly -1 or at infinity, its value and gradients are zero. A NaN in an offset or
    mask makes that output NaN, and the gradients of offset, mask and weight (docs/pytorch.md, "NaN and infinity").

    Args:
        input: [N, C, H, W]; float64, float32, float16 or bfloat16, in any memory layout.
        offset: [N, 2 · offset groups · kh · kw, H', W'] in pixels, per offset group y0, x0, y1, x1, …; of the input's
            dtype, or float32 for a half input. The number of offset groups follows from the shape and must divide C.
        weight: [O, C / groups, kh, kw] of the input's dtype; the number of groups follows from the shape.
        bias: [O] of the input's dtype or a wider one, or None. A wider dtype is also the output's.
        stride, padding, dilation: an int or (y, x), in pixels.
        mask: [N, offset groups · kh · kw, H', W'] of the dtype of `offset`, or None for v1.

    Returns:
        [N, O, H', W'] of the input's dtype (or the wider dtype of `bias`); channels_last if the input is. O may be
        zero.

    Raises:
        dcnbuild.ArgumentError: an argument does not fit; the message names it, what was given and what was expected.
        dcnbuild.FindingError: there are no compiled kernels for a CUDA input and none can be built.

    Examples:
        >>> input, weight = torch.rand(1, 16, 32, 32), torch.rand(8, 16, 3, 3)
        >>> offset = torch.zeros(1, 2 * 9, 32, 32)  # one offset group: y and x for each of 3×3 taps
        >>> mask = torch.ones(1, 9, 32, 32)
        >>> dcnbuild.deform_conv2d(input, offset, weight, padding=1, mask=mask).shape
        torch.Size([1, 8, 32, 32])
    """
    attributes = parse(input, offset, weight, bias, stride, padding, dilation, mask)
    if bias is None or bias.dtype == input.dtype:
        return OPERATOR(input, offset, mask, weight, bias, *attributes)
    return OPERATOR(input, offset, mask, weight, None, *attributes) + bias[:, None, None]


deform_conv2d.__prepare_scriptable__ = lambda: scripted  # type: ignore[attr-defined]


def _fake(
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    a: Attributes,
) -> Tensor:
    size = output_size(input.shape[2], input.shape[3], (weight.shape[2], weight.shape[3]), a)
    return torch.empty(
        (input.shape[0], weight.shape[0], *size),
        dtype=input.dtype,
        device=input.device,
        memory_format=memory_format_of(input),
    )


def _fake_backward(
    grad_output: Tensor,
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    a: Attributes,
) -> tuple[Tensor | None, ...]:
    like_input, like_offset, like_mask = (
        None if t is None else torch.empty_like(t, memory_format=memory_format_of(t)) for t in (input, offset, mask)
    )
    like_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
    return like_input, like_offset, like_mask, like_weight, weight.new_empty(weight.shape[0])


def product(weight: Sequence[int], output: Sequence[int]) -> int:
    """Returns 2 · N · O · H' · W' · (C / groups) · kh · kw, for weight [O, C / groups, kh, kw] and output [N, O, H',
    W'].
    """
    batch, out_channels, height, width = output
    _, channels, rows, columns = weight
    return 2 * batch * out_channels * height * width * channels * rows * columns


def _flops(input: Any, offset: Any, mask: Any, weight: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return product(weight, out_shape)


def _flops_backward(grad_output: Any, input: Any, offset: Any, mask: Any, weight: Any, *rest: Any, **_: Any) -> int:
    """Counts one product for the columns' gradient, which input, offset and mask share, and one for the weight's
    gradient.
    """
    for_input, for_offset, for_mask, for_weight, _bias = rest[5]
    products = int(for_input or for_offset or for_mask) + int(for_weight)
    return products * product(weight, grad_output)


OPERATOR = Operator(
    name="deform_conv2d",
    attributes=Attributes,
    reference=reference,
    fake=_fake,
    fake_backward=_fake_backward,
    linear=("input", "mask", "weight"),
    tangents={"offset": reference.offset_tangent, "bias": reference.bias_tangent},
    vmap=deform_conv2d_vmap.forward,
    vmap_backward=deform_conv2d_vmap.backward,
    onnx=onnx.deform_conv2d,
    not_in_onnx="ONNX has no gradients of DeformConv.",
    flops=Flops(_flops, _flops_backward),
)
register.when_loaded(OPERATOR)
