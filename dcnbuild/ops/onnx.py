"""Exports the operators to ONNX as DeformConv or GridSample, or raises an error that says what ONNX lacks.

`torch.onnx.export` decomposes an exported program by running its operators again. The kernels here then replace those
of autograd (dcnbuild/ops/registration.py). So users pass nothing extra, and may export a program that already exists.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dcnbuild.ops.reference.deform_conv2d import Attributes, output_size
from dcnbuild.ops.reference.deform_sample import Attributes as WindowAttributes
from dcnbuild.ops.reference.deform_sample import positions

#: The first opset with DeformConv.
OPSET = 19


def exporting() -> bool:
    """Whether `torch.onnx.export` is running. Does not import torch.onnx, which is slow."""
    onnx = sys.modules.get("torch.onnx")
    return onnx is not None and onnx.is_in_onnx_export()


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    a: Attributes,
) -> Tensor:
    """Writes a DeformConv node of ONNX, https://onnx.ai/onnx/operators/onnx__DeformConv.html.

    DeformConv has one type for all tensors. The kernels sum half types in float32, and their positions may be float32.
    So for half types, the node is float32, between casts.

    Raises:
        NotImplementedError: this exporter or this torch cannot write the node.
    """
    tensors = (input, weight, offset, bias, mask)
    _need_new_exporter("deform_conv2d becomes ONNX's DeformConv", tensors)
    dtype = torch.promote_types(input.dtype, torch.float32)
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    output = torch.onnx.ops.symbolic(
        "DeformConv",
        [None if t is None else t.to(dtype) for t in tensors],
        {
            "kernel_shape": kernel,
            "strides": a.stride,
            "pads": a.padding * 2,
            "dilations": a.dilation,
            "group": int(a.groups),
            "offset_group": int(a.offset_groups),
        },
        dtype=dtype,
        shape=(
            input.shape[0],
            weight.shape[0],
            *output_size(input.shape[2], input.shape[3], kernel, a),
        ),
        version=OPSET,
    )
    return output.to(input.dtype)


def deform_attn(
    value: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    spatial_shapes: Sequence[int],
) -> Tensor:
    """Writes one GridSample for each level, https://onnx.ai/onnx/operators/onnx__GridSample.html.

    For half types, the nodes are float32 between casts, like the kernels.

    Raises:
        NotImplementedError: this exporter or this torch cannot write it.
    """
    _need_new_exporter("deform_attn becomes ONNX's GridSample", (value, sampling_locations))
    batch, _, heads, width = value.shape
    queries = sampling_locations.shape[1]
    dtype = torch.promote_types(value.dtype, torch.float32)
    pairs = list(zip(spatial_shapes[::2], spatial_shapes[1::2]))
    images = value.to(dtype).permute(0, 2, 3, 1).split([h * w for h, w in pairs], dim=3)
    # [L, N · M, Q, P, 2] and [L, N · M, 1, Q, P]
    grids = sampling_locations.to(dtype).permute(3, 0, 2, 1, 4, 5).flatten(1, 2) * 2 - 1
    weights = attention_weights.to(dtype).permute(3, 0, 2, 1, 4).flatten(1, 2)[:, :, None]
    total = images[0].new_zeros(batch * heads, width, queries)
    for level, ((height, columns), image) in enumerate(zip(pairs, images)):
        sampled = torch.nn.functional.grid_sample(
            image.reshape(batch * heads, width, height, columns),
            grids[level],
            mode="bilinear",
            padding_mode="zeros",
            align_corners=False,
        )
        total = total + (sampled * weights[level]).sum(-1)
    output = total.reshape(batch, heads * width, queries).transpose(1, 2)
    return output.to(value.dtype)


def deform_sample(input: Tensor, offset: Tensor, mask: Tensor, a: WindowAttributes) -> Tensor:
    """The operator as one GridSample: as attention over one level, whose locations are computed before it.

    Raises:
        NotImplementedError: this exporter or this torch cannot write it.
    """
    _need_new_exporter("deform_sample becomes ONNX's GridSample", (input, offset))
    batch, height, width, groups, channels = input.shape
    dtype = torch.promote_types(input.dtype, torch.float32)
    y, x = positions(offset.to(dtype), a)
    locations = torch.stack([(x + 0.5) / width, (y + 0.5) / height], -1)
    output = deform_attn(
        input.flatten(1, 2),
        locations.flatten(1, 2)[:, :, :, None],
        mask.flatten(1, 2)[:, :, :, None],
        [height, width],
    )
    return output.reshape(batch, *offset.shape[1:3], groups * channels)


def _need_new_exporter(what: str, tensors: Sequence[Tensor | None]) -> None:
    # torch's older exporter runs the model on real tensors.
    if not hasattr(torch.onnx, "ops") or torch._guards.detect_fake_mode(tensors) is None:
        raise NotImplementedError(
            f"dcnbuild: {what} with torch.onnx.export(..., dynamo=True) of torch 2.8 or later; this is torch "
            f"{torch.__version__}, or dynamo=False"
        )


def refusal(name: str, reason: str) -> Callable[..., Any]:
    """Returns a kernel that raises and says why ONNX cannot express an operator."""

    def kernel(*args: Any) -> Any:
        raise NotImplementedError(f"dcnbuild: {name} cannot be exported to ONNX: {reason}")

    return kernel
