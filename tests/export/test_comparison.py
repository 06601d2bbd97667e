"""`dcnbuild.export`: runtimes that agree, runtimes that compute one operator wrongly, files of another model."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CHECKOUT
from integration.features import needs
from integration.models import image
from torch import Tensor, nn

import dcnbuild

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytestmark = [needs("torch.onnx.ops"), pytest.mark.slow]

from dcnbuild import export  # noqa: E402
from dcnbuild.export.comparison import compare  # noqa: E402
from dcnbuild.export.runtimes import OnnxRuntime, OpenVino  # noqa: E402


class Detector(nn.Module):
    """A deformable convolution, and deformable attention over its output."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = dcnbuild.DCN(4, 8, 3, padding=1, offset_groups=2)
        self.attn = dcnbuild.DeformAttn(8, 2, 2, 3)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5)

    def forward(self, input: Tensor) -> tuple[Tensor, Tensor]:
        image = self.conv(input).relu()
        tokens = image.flatten(2).transpose(1, 2)
        points = torch.full((tokens.shape[0], tokens.shape[1], 2, 2), 0.4)
        sizes = ((6, 6), (1, 6))
        return image, self.attn(tokens, tokens, points, sizes)


@pytest.fixture(scope="module")
def model() -> Detector:
    return Detector().eval()


@pytest.fixture(scope="module")
def inputs() -> tuple[Tensor]:
    return (image(2, 4, 7, 6),)


@pytest.fixture(scope="module")
def file(model: Detector, inputs: tuple[Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    names = ["image", "attended"]
    torch.onnx.export(model, inputs, path, dynamo=True, verbose=False, output_names=names)
    return path


def runtime_of(name: str) -> Any:
    if name == "openvino":
        pytest.importorskip("openvino", reason="openvino is not installed")
        return OpenVino()
    return OnnxRuntime()


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_runtime_that_agrees(name: str, model: Detector, inputs: tuple[Tensor], file: Path) -> None:
    report = export.check(model, inputs, file, runtimes=[runtime_of(name)])
    assert report.ok, str(report)
    assert [item.output for item in report.comparisons] == ["image", "attended"]
    assert all(item.difference < 1e-4 and item.largest > 0.5 for item in report.comparisons)
    assert str(report).startswith(f"{name} ")


class Wrong:
    """Stands in for a faulty runtime: changes the inputs, and then calls onnxruntime."""

    name = "wrong 1.0"

    def __init__(self, change: Any) -> None:
        self.change = change
        self.runs = 0

    def run(self, model: bytes, inputs: Any) -> Any:
        self.runs += 1
        written = onnx.load_from_string(model)
        self.change(written)
        return OnnxRuntime().run(written.SerializeToString(), inputs)


#: The form of a cause.
CAUSE = (
    r'the first operator that differs is \w+ "\w+": \w+ by [\d.e-]+ of at most [\d.e-]+, '
    r"and its inputs agree"
)


def set_attribute(op_type: str, name: str, value: Any, which: int = 0) -> Any:
    def change(written: Any) -> None:
        node = [node for node in written.graph.node if node.op_type == op_type][which]
        kept = [item for item in node.attribute if item.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])

    return change


@pytest.mark.parametrize(
    ("op_type", "name", "value", "which", "outputs"),
    [
        ("GridSample", "align_corners", 1, 1, [True, False]),
        ("GridSample", "mode", b"nearest", 0, [True, False]),
        ("DeformConv", "offset_group", 1, 0, None),
        ("DeformConv", "pads", [2, 1, 0, 1], 0, [False, False]),
        ("Softmax", "axis", 1, 0, [True, False]),
    ],
)
def test_the_operator_that_a_runtime_computes_wrongly_is_named(
    op_type: str,
    name: str,
    value: Any,
    which: int,
    outputs: list[bool] | None,
    model: Detector,
    inputs: tuple[Tensor],
    file: Path,
) -> None:
    wrong = Wrong(set_attribute(op_type, name, value, which))
    report = export.check(model, inputs, file, runtimes=[wrong])
    assert not report.ok
    if outputs is None:  # the runtime refuses it by itself
        assert wrong.name in report.failures
        assert "does not run the file" in str(report)
        return
    assert [item.agrees for item in report.comparisons] == outputs
    written = onnx.load(file)
    node = [node for node in written.graph.node if node.op_type == op_type][which]
    assert f'is {op_type} "{node.name}": {node.output[0]} by' in report.causes[wrong.name]
    assert re.fullmatch(f"{wrong.name}: {CAUSE}", str(report).splitlines()[-1])
    assert wrong.runs < 4 + 2 * len(written.graph.node).bit_length()


def test_the_page_shows_lines_as_they_are_printed() -> None:
    page = (CHECKOUT / "docs/export.md").read_text(encoding="utf-8")
    for runtime, difference in (("onnxruntime 1.32.0", 2.2e-06), ("openvino 2026.4.1", 2.1e-06)):
        line = str(export.Comparison(runtime, "image", difference, 2.9, True))
        assert f"\n{line}\n" in page
    assert re.search(f"^some-runtime 1.0: {CAUSE}$", page, re.MULTILINE)


def test_a_fault_that_shows_only_where_nobody_looks(model: Detector, inputs: tuple[Tensor], file: Path) -> None:
    """If a fused operator is wrong only while its parts are not outputs, the comparison names its last part."""

    def change(written: Any) -> None:
        if len(written.graph.output) == 2:
            set_attribute("GridSample", "align_corners", 1)(written)

    report = export.check(model, inputs, file, runtimes=[Wrong(change)])
    assert not report.ok
    (last,) = [node for node in onnx.load(file).graph.node if "attended" in node.output]
    assert f'{last.op_type} "{last.name}": attended' in report.causes[Wrong.name]


def test_a_file_of_another_model(model: Detector, inputs: tuple[Tensor], file: Path) -> None:
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.attn.output_proj.weight.add_(0.3)
    report = export.check(other, inputs, file, runtimes=[OnnxRuntime()])
    assert [item.agrees for item in report.comparisons] == [True, False]
    (cause,) = report.causes.values()
    assert cause.startswith("the file is another computation than the model's: onnxruntime ")
    assert "without optimisations" in cause


@pytest.mark.parametrize(
    ("expected", "got", "difference", "agrees"),
    [
        ([1.0, 2.0], [1.0, 2.0005], 0.0005, True),
        ([100.0, 2.0], [100.05, 2.0], 0.05, True),
        ([1.0, 2.0], [1.0, 2.1], 0.1, False),
        ([1.0, np.nan, np.inf], [1.0, np.nan, np.inf], 0.0, True),
        ([1.0, 2.0], [1.0, np.nan], np.inf, False),
        ([np.inf], [-np.inf], np.inf, False),
        ([1.0, 2.0], [[1.0], [2.0]], np.inf, False),
        ([], [], 0.0, True),
    ],
)
def test_two_arrays(expected: list[Any], got: list[Any], difference: float, agrees: bool) -> None:
    found = compare("r", "y", np.array(expected, np.float32), np.array(got, np.float32), None)
    assert found.difference == pytest.approx(difference, rel=1e-3)
    assert found.agrees is agrees


def test_sixteen_bits_may_differ_more_and_a_tolerance_is_the_users() -> None:
    one, other = np.ones(2, np.float16), np.full(2, 1.01, np.float16)
    assert compare("r", "y", one, other, None).agrees
    assert not compare("r", "y", one.astype(np.float32), other, None).agrees
    assert not compare("r", "y", one, other, 1e-3).agrees


def test_what_does_not_fit(model: Detector, inputs: tuple[Tensor], file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"the file has the inputs \['input'\], and 2 were given"):
        export.check(model, (*inputs, *inputs), file)
    with pytest.raises(ValueError, match=r"the outputs \['image', 'attended'\], and the model re"):
        export.check(lambda x: model(x)[0], inputs, file)
    monkeypatch.setattr("dcnbuild.export.comparison.installed", list)
    with pytest.raises(ImportError, match="pip install onnxruntime"):
        export.check(model, inputs, file)


class Call(nn.Module):
    """One call of the function, with everything that DeformConv has."""

    def __init__(self, bias: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(image(6, 2, 3, 2).to(dtype))
        self.bias = nn.Parameter(image(6).to(dtype)) if bias else None

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        return dcnbuild.deform_conv2d(input, offset, self.weight, self.bias, (2, 1), (2, 1), (1, 2), mask)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_openvino_computes_deformable_convolution(masked: bool, bias: bool, dtype: torch.dtype, tmp_path: Path) -> None:
    """Against the model, and onnxruntime on the same file; strides, dilations and groups on both sides."""
    ov = pytest.importorskip("openvino", reason="openvino is not installed")
    call = Call(bias, dtype).eval()
    args = [image(2, 4, 9, 8), image(2, 2 * 2 * 6, 6, 8, seed=2) * 3]
    args += [image(2, 2 * 6, 6, 8, seed=3).sigmoid()] * masked
    args = [item.to(dtype) for item in args]
    path = tmp_path / "call.onnx"
    torch.onnx.export(call, tuple(args), path, dynamo=True, verbose=False)
    report = export.check(call, args, path, runtimes=[OpenVino(), OnnxRuntime()])
    assert report.ok, str(report)
    assert len(report.comparisons) == 2
    compiled = ov.Core().compile_model(export.openvino(path), "CPU")
    output = compiled([item.numpy() for item in args])[0]
    with torch.no_grad():
        expected = call(*args).numpy()
    assert np.abs(output - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: dcnbuild.DCNv3(32, group=4), (1, 16, 12, 32)),
        (lambda: dcnbuild.DCNv4(32, group=2), (1, 16 * 16, 32)),
    ],
    ids=["DCNv3", "DCNv4"],
)
def test_dcnv3_and_dcnv4_agree(name: str, make: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer = make().eval()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.2)
    inputs = (torch.randn(shape),)
    torch.onnx.export(layer, inputs, tmp_path / "layer.onnx", dynamo=True, verbose=False)
    report = export.check(layer, inputs, tmp_path / "layer.onnx", runtimes=[runtime_of(name)])
    assert report.ok, str(report)
    assert layer(inputs[0]).std() > 0.1  # a constant would agree, too
