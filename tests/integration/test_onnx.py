"""torch.onnx.export to the standard DeformConv, run by onnxruntime and by ONNX's own evaluator."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from integration.features import needs
from integration.models import Aligned, image
from torch import Tensor, nn

import dcnbuild

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytestmark = needs("torch.onnx.ops")


def export(model: Any, args: tuple[Tensor, ...], path: Path, **options: Any) -> Any:
    """Exports, checks the file with ONNX's checker, and returns what is in it."""
    torch.onnx.export(model, args, path, dynamo=True, verbose=False, **options)
    written = onnx.load(path)
    onnx.checker.check_model(written, full_check=True)
    return written


def onnxruntime_of(path: Path, *args: Tensor) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    (output,) = session.run(None, {name: arg.numpy() for name, arg in zip(names, args)})
    return np.asarray(output)


@functools.cache
def onnxruntime_has_deform_conv() -> bool:
    """Whether onnxruntime has DeformConv; old releases lack it, ONNX's own evaluator never does."""
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    shapes = {"X": [1, 1, 1, 1], "W": [1, 1, 1, 1], "O": [1, 2, 1, 1], "Y": [1, 1, 1, 1]}
    values = {name: helper.make_tensor_value_info(name, real, shapes[name]) for name in shapes}
    graph = helper.make_graph(
        [helper.make_node("DeformConv", ["X", "W", "O"], ["Y"])],
        "probe",
        [values[name] for name in "XWO"],
        [values["Y"]],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    try:
        onnxruntime.InferenceSession(model.SerializeToString())
    except Exception as error:
        assert "NOT_IMPLEMENTED" in str(error)
        return False
    return True


def needs_the_kernel() -> None:
    if not onnxruntime_has_deform_conv():
        pytest.skip(f"onnxruntime {onnxruntime.__version__} has no kernel of DeformConv")


def evaluated(written: Any, *args: Tensor) -> np.ndarray[Any, Any]:
    """The output by ONNX's reference evaluator."""
    names = [value.name for value in written.graph.input]
    (output,) = onnx.reference.ReferenceEvaluator(written).run(
        None, {name: arg.numpy() for name, arg in zip(names, args)}
    )
    return np.asarray(output)


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [{}, {"modulated": False, "bias": False}, {"stride": (2, 1), "dilation": (1, 2)}],
    ids=["v2", "v1", "strided and dilated"],
)
def test_a_network_with_any_batch_and_size(first: dict[str, Any], tmp_path: Path) -> None:
    model = Aligned(**first).eval()
    any_size = ({0: "batch", 2: "height", 3: "width"},)
    path = tmp_path / "model.onnx"
    written = export(model, (image(2, 3, 9, 8),), path, dynamic_shapes=any_size)
    kinds = [node.op_type for node in written.graph.node]
    assert kinds.count("DeformConv") == 2 and not written.functions
    assert [opset.domain for opset in written.opset_import] == [""]
    for shape in ((2, 3, 9, 8), (3, 3, 12, 7)):
        x = image(*shape, seed=2)
        with torch.no_grad():
            expected = model(x).numpy()
        assert np.abs(expected).max() > 0.5
        np.testing.assert_allclose(evaluated(written, x), expected, rtol=0, atol=1e-4)
        if onnxruntime_has_deform_conv():
            np.testing.assert_allclose(onnxruntime_of(path, x), expected, rtol=0, atol=1e-4)


class Grouped(nn.Module):
    """One call with groups on both sides, in any dtype."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = dcnbuild.DeformConv2d(4, 6, (3, 2), padding=(2, 1), groups=2).to(dtype)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        output: Tensor = self.conv(input, offset, mask)
        return output


@pytest.mark.parametrize("positions", ["float32", "the input's"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_every_dtype(dtype: torch.dtype, positions: str, tmp_path: Path) -> None:
    """Half types are exported as casts around a float32 DeformConv, which is how the kernels compute."""
    needs_the_kernel()
    position = dtype if positions != "float32" or dtype == torch.float64 else torch.float32
    model = Grouped(dtype).eval()
    args = (
        image(1, 4, 5, 6).to(dtype),
        (image(1, 2 * 2 * 6, 7, 7, seed=2) * 3).to(position),
        image(1, 2 * 6, 7, 7, seed=3).sigmoid().to(position),
    )
    export(model, args, tmp_path / "model.onnx")
    with torch.no_grad():
        expected = model(*args).numpy()
    output = onnxruntime_of(tmp_path / "model.onnx", *args)
    assert output.dtype == expected.dtype
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-4, torch.float16: 2e-3}[dtype]
    np.testing.assert_allclose(output, expected, rtol=0, atol=tolerance)


def test_bfloat16_passes_the_checker(tmp_path: Path) -> None:
    """onnxruntime's Python interface takes no bfloat16 arrays; the graph is that of float16."""
    args = (image(1, 4, 5, 6).bfloat16(), image(1, 24, 7, 7), image(1, 12, 7, 7))
    written = export(Grouped(torch.bfloat16).eval(), args, tmp_path / "model.onnx")
    (node,) = [node for node in written.graph.node if node.op_type == "DeformConv"]
    types = {value.name: value.type.tensor_type.elem_type for value in written.graph.value_info}
    assert types[node.output[0]] == onnx.TensorProto.FLOAT
    assert written.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16


@pytest.mark.slow
def test_a_program_exported_before(tmp_path: Path) -> None:
    """torch.export knows nothing of ONNX; the operator is still recognised afterwards."""
    model, x = Aligned().eval(), image(2, 3, 9, 8)
    program = torch.export.export(model, (x,))
    written = export(program, (), tmp_path / "model.onnx")
    assert [node.op_type for node in written.graph.node].count("DeformConv") == 2
    with torch.no_grad():
        expected = model(x).numpy()
    np.testing.assert_allclose(evaluated(written, x), expected, rtol=0, atol=1e-4)


def test_exporting_leaves_eager_calls_alone(tmp_path: Path) -> None:
    model, x = Aligned().eval(), image(2, 3, 9, 8)
    before = model(x)
    export(model, (x,), tmp_path / "model.onnx")
    assert torch.equal(model(x), before)


class Pooled(nn.Module):
    def __init__(self, position_sensitive: bool) -> None:
        super().__init__()
        self.position_sensitive = position_sensitive

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        if self.position_sensitive:
            return dcnbuild.deform_psroi_pool(input, rois, spatial_scale=1.0, pooled_size=2)
        return dcnbuild.deform_roi_pool(input, rois, output_size=2)


@pytest.mark.parametrize("name", ["deform_psroi_pool", "deform_roi_pool"])
def test_poolings_say_that_onnx_has_none(name: str, tmp_path: Path) -> None:
    args = (image(1, 3, 8, 8), torch.tensor([[0, 1.0, 1.0, 5.0, 5.0]]))
    with pytest.raises(Exception, match=f"{name} cannot be exported to ONNX: ONNX has no RoI"):
        export(Pooled(name == "deform_psroi_pool").eval(), args, tmp_path / "model.onnx")


def test_the_exporter_of_old_is_pointed_to_the_new_one(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="dynamo=True"):
        torch.onnx.export(Aligned().eval(), (image(1, 3, 5, 5),), tmp_path / "model.onnx", dynamo=False)


def test_an_opset_without_deform_conv_is_refused_by_name(tmp_path: Path) -> None:
    """torch.onnx does not tell us which opset was asked for, and writes the file; who reads it says what is wrong."""
    path = tmp_path / "model.onnx"
    args = (image(1, 3, 5, 5),)
    torch.onnx.export(Aligned().eval(), args, path, dynamo=True, verbose=False, opset_version=18, optimize=False)
    with pytest.raises(onnx.checker.ValidationError, match=r"DeformConv.*18"):
        onnx.checker.check_model(onnx.load(path))
