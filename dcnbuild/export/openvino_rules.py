"""Adds a rule for ONNX's DeformConv to OpenVINO, whose ONNX front end has none."""

from __future__ import annotations

from os import PathLike
from typing import Any


def openvino(file: str | PathLike[str]) -> Any:
    """Converts an ONNX file that may have DeformConv.

    OpenVINO has the operator, but its ONNX front end (seen up to 2026.4) has no rule for it.

    Args:
        file: the file that `torch.onnx.export` wrote. Export an exported program to ONNX first.

    Returns:
        The `openvino.Model`, for `openvino.Core().compile_model`.

    Raises:
        ImportError: openvino is not installed.
    """
    import openvino as ov

    return ov.convert_model(file, extension=extensions())


def extensions() -> list[Any]:
    """Returns the rules that `openvino` adds, for `openvino.Core().add_extension` and `convert_model(extension=...)`."""
    from openvino.frontend.onnx import ConversionExtension

    return [ConversionExtension("DeformConv", _deform_conv)]


def _deform_conv(node: Any) -> list[Any]:
    """https://onnx.ai/onnx/operators/onnx__DeformConv.html: X, W, offset, B or nothing, mask or nothing."""
    from openvino import opset1, opset8

    inputs = [node.get_input(i) for i in range(node.get_input_size())]
    # A missing input before a given one is a node without a value.
    given = [None if item.get_node().get_type_name() == "NullNode" else item for item in inputs]
    image, weight, offset, bias, mask = [*given, None, None][:5]
    pads = list(node.get_attribute("pads", [0, 0, 0, 0]))
    output = opset8.deformable_convolution(
        image,
        offset,
        weight,
        list(node.get_attribute("strides", [1, 1])),
        pads[:2],
        pads[2:],
        list(node.get_attribute("dilations", [1, 1])),
        mask=mask,
        group=node.get_attribute("group", 1),
        deformable_group=node.get_attribute("offset_group", 1),
        bilinear_interpolation_pad=True,  # zeros outside the image, as in ONNX
    )
    if bias is not None:
        output = opset1.add(output, opset1.reshape(bias, [1, -1, 1, 1], False))
    return list(output.outputs())
