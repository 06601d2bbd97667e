"""Compares exported models in runtimes with the model, and adds deformable convolution to OpenVINO.

    >>> from dcnbuild import export
    >>> print(export.check(model, (image,), "model.onnx"))  # doctest: +SKIP
    onnxruntime 1.32.0: output differs by 2.1e-06 of at most 3.4

Needs `pip install onnx onnxruntime`; uses `openvino` too if it is installed.
"""

from dcnbuild.export.comparison import Comparison, Report, check
from dcnbuild.export.openvino_rules import openvino

__all__ = ["Comparison", "Report", "check", "openvino"]
