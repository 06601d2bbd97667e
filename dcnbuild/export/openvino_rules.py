"""Converts models with dcnbuild's operators to OpenVINO, whose front ends have no rules for them."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any

import torch

#: The operator with a rule, as OpenVINO names it in a traced module and in an exported program.
_NAMES = ("dcnbuild::deform_conv2d", "dcnbuild.deform_conv2d.default")


def openvino(
    model: str | PathLike[str] | torch.export.ExportedProgram | torch.jit.ScriptModule,
) -> Any:
    """Converts a model that may have deformable operators.

    OpenVINO has deformable convolution, but its front ends for ONNX and for PyTorch (seen up to 2026.4) have no rule
    for it. In an exported program, the other operators become what OpenVINO has: `deform_attn` and `deform_sample`
    become GridSample, and the poolings with a fixed number of samples become gathers and sums.

    Args:
        model: a file that `torch.onnx.export` wrote, a `torch.export.ExportedProgram`, or a module that
            `torch.jit.trace` made. A traced module may have no other operator of dcnbuild than `deform_conv2d`.

    Returns:
        The `openvino.Model`, for `openvino.Core().compile_model`.

    Raises:
        ImportError: openvino is not installed.
    """
    import openvino as ov

    if isinstance(model, torch.export.ExportedProgram):
        model = model.run_decompositions(_decompositions())
    of_torch = isinstance(model, torch.export.ExportedProgram | torch.jit.ScriptModule)
    return ov.convert_model(model, extension=torch_extensions() if of_torch else extensions())


def extensions() -> list[Any]:
    """Returns the rules for ONNX, for `openvino.Core().add_extension` and `convert_model(extension=...)`."""
    from openvino.frontend.onnx import ConversionExtension

    return [ConversionExtension("DeformConv", _onnx_deform_conv)]


def torch_extensions() -> list[Any]:
    """Returns the rules for traced modules and exported programs, for `convert_model(extension=...)`."""
    from openvino.frontend.pytorch import ConversionExtension

    return [ConversionExtension(name, _torch_deform_conv) for name in _NAMES]


def _decompositions() -> dict[Any, Callable[..., Any]]:
    """Returns operator → function that computes it by torch's own operators; nothing for those that have a rule."""
    import dcnbuild.ops.operators  # noqa: F401  fills OPERATORS
    from dcnbuild.ops.operator import OPERATORS

    return {
        operator.call.operator.default: operator.onnx_kernel if operator.onnx else operator.reference_forward
        for operator in OPERATORS.values()
        if operator.name != "deform_conv2d"
    }


def _onnx_deform_conv(node: Any) -> list[Any]:
    """https://onnx.ai/onnx/operators/onnx__DeformConv.html: X, W, offset, B or nothing, mask or nothing."""
    inputs = [node.get_input(i) for i in range(node.get_input_size())]
    # A missing input before a given one is a node without a value.
    given = [None if item.get_node().get_type_name() == "NullNode" else item for item in inputs]
    image, weight, offset, bias, mask = [*given, None, None][:5]
    pads = list(node.get_attribute("pads", [0, 0, 0, 0]))
    return _deformable_convolution(
        *(image, offset, mask, weight, bias),
        strides=list(node.get_attribute("strides", [1, 1])),
        pads=(pads[:2], pads[2:]),
        dilations=list(node.get_attribute("dilations", [1, 1])),
        groups=node.get_attribute("group", 1),
        offset_groups=node.get_attribute("offset_group", 1),
    )


def _torch_deform_conv(node: Any) -> list[Any]:
    """The schema of csrc/schema.h: input, offset, mask or None, weight, bias or None, and five attributes."""
    from openvino import opset1

    inputs = [node.get_input(i) for i in range(5)]
    strides, pads, dilations, groups, offset_groups = map(node.get_values_from_const_input, range(5, 10))
    # None is a node of the framework without inputs. The kernels compute half types in float32, and so does this.
    tensors = [
        None
        if item.get_node().get_type_name() == "PtFrameworkNode" and not item.get_node().get_input_size()
        else opset1.convert(item, "f32").output(0)
        for item in inputs
    ]
    (output,) = _deformable_convolution(
        *tensors,
        strides=list(strides),
        pads=(list(pads), list(pads)),
        dilations=list(dilations),
        groups=groups,
        offset_groups=offset_groups,
    )
    return list(opset1.convert_like(output, inputs[0]).outputs())


def _deformable_convolution(
    image: Any,
    offset: Any,
    mask: Any,
    weight: Any,
    bias: Any,
    *,
    strides: list[int],
    pads: tuple[list[int], list[int]],
    dilations: list[int],
    groups: int,
    offset_groups: int,
) -> list[Any]:
    """Makes the node that both rules need; a mask or a bias may be None."""
    from openvino import opset1, opset8

    output = opset8.deformable_convolution(
        *(image, offset, weight, strides, *pads, dilations),
        mask=mask,
        group=groups,
        deformable_group=offset_groups,
        bilinear_interpolation_pad=True,  # zeros outside the image, as in ONNX and torch
    )
    if bias is not None:
        output = opset1.add(output, opset1.reshape(bias, [1, -1, 1, 1], False))
    return list(output.outputs())
