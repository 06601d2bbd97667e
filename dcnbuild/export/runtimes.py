"""Runs ONNX files in different programs, by the same call."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, Protocol

Arrays = Mapping[str, Any]


class Runtime(Protocol):
    """A program that runs an ONNX model: takes and returns numpy arrays by name."""

    name: str

    def run(self, model: bytes, inputs: Arrays) -> Arrays: ...


class OnnxRuntime:
    """onnxruntime on the CPU."""

    def __init__(self) -> None:
        import onnxruntime

        self.name = f"onnxruntime {onnxruntime.__version__}"

    def run(self, model: bytes, inputs: Arrays) -> Arrays:
        import onnxruntime

        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        names = [item.name for item in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(inputs))))


class OpenVino:
    """OpenVINO on the CPU, in the precision of the model: by default it may compute float32 in bfloat16."""

    def __init__(self) -> None:
        import openvino

        self.name = f"openvino {openvino.__version__.partition('-')[0]}"

    def run(self, model: bytes, inputs: Arrays) -> Arrays:
        import io

        import openvino as ov

        from dcnbuild.export.openvino_rules import extensions

        converted = ov.convert_model(io.BytesIO(model), extension=extensions())
        compiled = ov.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        results = compiled(dict(inputs))
        return {output.get_any_name(): results[output] for output in compiled.outputs}


class Unoptimised:
    """onnxruntime with one kernel for each node of the file, none fused; gives the values inside a graph to compare
    with.
    """

    def __init__(self) -> None:
        import onnxruntime

        self.name = f"onnxruntime {onnxruntime.__version__} without optimisations"

    def run(self, model: bytes, inputs: Arrays) -> Arrays:
        """Returns every value of the graph, not only the outputs."""
        import onnx
        import onnxruntime

        written = onnx.load_from_string(model)
        outputs = {item.name for item in written.graph.output}
        inside = dict.fromkeys(name for node in written.graph.node for name in node.output if name)
        written.graph.output.extend(
            onnx.helper.make_empty_tensor_value_info(name) for name in inside if name not in outputs
        )
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(written.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return dict(zip(inside, session.run(list(inside), dict(inputs))))


def installed() -> list[Runtime]:
    """Returns the runtimes that can be imported here."""
    known = (("onnxruntime", OnnxRuntime), ("openvino", OpenVino))
    return [runtime() for module, runtime in known if importlib.util.find_spec(module)]
