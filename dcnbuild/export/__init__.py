"""Exported models: whether a runtime computes what the model does, and OpenVINO with deformable convolution.

    >>> from dcnbuild import export
    >>> print(export.check(model, (image,), "model.onnx"))  # doctest: +SKIP
    onnxruntime 1.32.0: output differs by 2.1e-06 of at most 3.4

Needs `pip install onnx onnxruntime`; `openvino` is another runtime where it is installed.
"""

from dcnbuild.export.comparison import Comparison, Report, check
from dcnbuild.export.openvino_rules import openvino

__all__ = ["Comparison", "Report", "check", "openvino"]
