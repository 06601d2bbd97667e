"""Tests `dcnbuild.export.openvino` on exported programs and traced modules, against eager and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from integration.features import needs
from integration.models import image
from torch import Tensor, nn

import dcnbuild
from dcnbuild import export

ov = pytest.importorskip("openvino", reason="openvino is not installed")
pytestmark = [needs("torch.onnx.ops"), pytest.mark.slow]


def compiled(model: Any) -> Callable[[tuple[Tensor, ...]], Any]:
    """Converts a model, and returns what runs it in its own precision."""
    converted = export.openvino(model)
    ready = ov.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda args: ready([item.numpy() for item in args])[0]


class Convolution(nn.Module):
    """One call of the function, with strides, dilations and groups on both sides."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(image(6, 2, 3, 2))
        self.bias = nn.Parameter(image(6)) if bias else None

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        return dcnbuild.deform_conv2d(input, offset, self.weight, self.bias, (2, 1), (2, 1), (1, 2), mask)


CONVOLVED = (
    image(2, 4, 9, 8),
    image(2, 2 * 2 * 6, 6, 8, seed=2) * 3,
    image(2, 2 * 6, 6, 8, seed=3).sigmoid(),
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("make", [torch.export.export, torch.jit.trace])
@pytest.mark.parametrize(("masked", "bias"), [(True, True), (False, False)])
def test_deformable_convolution(masked: bool, bias: bool, make: Any, dtype: torch.dtype) -> None:
    model = Convolution(bias).to(dtype).eval()
    args = tuple(item.to(dtype) for item in CONVOLVED[: 2 + masked])
    with torch.no_grad():
        expected = model(*args).numpy()
        output = compiled(make(model, args))(args)
    assert output.dtype == expected.dtype
    most = 1e-5 if dtype == torch.float32 else 4e-3
    assert np.abs(output - expected).max() < most * np.abs(expected).max()


def test_the_front_ends_agree_with_onnxruntime(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    model, path = Convolution(bias=True).eval(), tmp_path / "model.onnx"
    torch.onnx.export(model, CONVOLVED, path, dynamo=True, verbose=False)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    feeds = {name: item.numpy() for name, item in zip(names, CONVOLVED, strict=True)}
    (expected,) = session.run(None, feeds)
    for source in (path, torch.export.export(model, CONVOLVED)):
        assert compiled(source)(CONVOLVED) == pytest.approx(expected, abs=1e-5)


class Call(nn.Module):
    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Tensor:
        return self.function(*args)


ROIS = torch.tensor([[0, 0, 0, 8, 8], [1, 2, 1, 9, 7.0]])
OTHERS: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
    "deform_attn": (
        lambda value, places, weights: dcnbuild.deform_attn(value, ((4, 5), (2, 3)), places, weights),
        (image(2, 26, 2, 4), image(2, 3, 2, 2, 3, 2, seed=2).sigmoid(), image(2, 3, 2, 2, 3)),
    ),
    "deform_sample": (
        lambda input, offset, mask: dcnbuild.deform_sample(input, offset, mask, 3, padding=1),
        (image(2, 5, 6, 8), image(2, 5, 6, 2, 9, 2, seed=2), image(2, 5, 6, 2, 9, seed=3)),
    ),
    "deform_roi_pool": (
        lambda input, offset: dcnbuild.deform_roi_pool(
            input, ROIS, offset, output_size=3, spatial_scale=0.5, sampling_ratio=2
        ),
        (image(2, 4, 6, 7), image(2, 2, 3, 3, seed=2)),
    ),
    "deform_psroi_pool": (
        lambda input, trans: dcnbuild.deform_psroi_pool(
            *(input, ROIS, trans),
            spatial_scale=0.5,
            pooled_size=3,
            group_size=2,
            sample_per_part=2,
            trans_std=0.1,
        ),
        (image(2, 4, 6, 7), image(2, 2, 3, 3, seed=2)),
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_operators_in_an_exported_program(name: str) -> None:
    function, args = OTHERS[name]
    expected = function(*args)
    output = compiled(torch.export.export(Call(function), args))(args)
    assert expected.abs().max() > 0.1
    assert output == pytest.approx(expected.numpy(), abs=1e-5)


def test_a_traced_module_with_another_operator_is_refused() -> None:
    from openvino.frontend import OpConversionFailure

    function, args = OTHERS["deform_attn"]
    with pytest.raises(OpConversionFailure, match=r"dcnbuild::deform_attn"):
        export.openvino(torch.jit.trace(Call(function), args))
