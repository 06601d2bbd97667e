"""`deform_conv2d`, `deform_attn` and `deform_sample` in plain torch: what dcnbuild's tests compare with, and what runs
where nothing can be compiled.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.overrides import handle_torch_function

from dcnbuild.ops.arguments import check_dense
from dcnbuild.ops.deform_attn_arguments import parse as parse_attn
from dcnbuild.ops.deform_conv2d_arguments import parse
from dcnbuild.ops.deform_sample_arguments import Size, attributes, check
from dcnbuild.ops.reference.deform_attn import forward as attend
from dcnbuild.ops.reference.deform_conv2d import backward, forward
from dcnbuild.ops.reference.deform_sample import forward as sample
from dcnbuild.ops.reference.images import memory_format_of
from dcnbuild.ops.torch_versions import has_torch_function_variadic

__all__ = ["backward", "deform_attn", "deform_conv2d", "deform_sample", "forward"]


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
    """Computes `dcnbuild.deform_conv2d` in plain torch, with the same arguments, on any device, in any order of
    derivative.
    """
    if has_torch_function_variadic(input, offset, weight, bias, mask):
        return handle_torch_function(
            deform_conv2d, (input, offset, weight, bias, mask), input, offset, weight, bias,
            stride=stride, padding=padding, dilation=dilation, mask=mask,
        )  # fmt: skip
    attributes = parse(input, offset, weight, bias, stride, padding, dilation, mask)
    tensors = {"input": input, "offset": offset, "mask": mask, "weight": weight, "bias": bias}
    for name, tensor in tensors.items():
        if tensor is not None:
            check_dense("deform_conv2d", name, tensor)
    wider = bias is not None and bias.dtype != input.dtype
    output = forward(input, offset, mask, weight, None if wider else bias, attributes)
    output = output.contiguous(memory_format=memory_format_of(input))
    return output + bias[:, None, None] if wider and bias is not None else output


def deform_attn(
    value: Tensor,
    spatial_shapes: Tensor | Sequence[Sequence[int]],
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    """Computes `dcnbuild.deform_attn` in plain torch, with the same arguments, on any device, in any order of
    derivative.
    """
    flat = parse_attn(value, spatial_shapes, sampling_locations, attention_weights)
    return attend(value, sampling_locations, attention_weights, flat)


def deform_sample(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel_size: Size = 3,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    offset_scale: float = 1.0,
    remove_center: bool = False,
) -> Tensor:
    """`dcnbuild.deform_sample` in plain torch, on any device: same arguments, same results, any order of derivative."""
    a = attributes(kernel_size, stride, padding, dilation, offset_scale, remove_center)
    check(input, offset, mask, a)
    return sample(input.unflatten(-1, (offset.shape[3], -1)), offset, mask, a)
