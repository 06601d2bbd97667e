"""`DCNv3` and `DCNv4`: keys, initialisation, what they compute, inside PyTorch, and what they refuse."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from integration.features import needs
from ops.sample_cases import grid_sampled
from torch import Tensor, nn

import dcnbuild
from dcnbuild.ops.reference.deform_sample import Attributes

Module = dcnbuild.DCNv3 | dcnbuild.DCNv4


def randomized(module: Any) -> Any:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


def image(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def keys(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(t.shape) for name, t in module.state_dict().items()}


def of_linear(name: str, out: int, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, width), f"{name}.bias": (out,)}


def test_keys_of_version_3() -> None:
    """Those of InternImage's checkpoints."""
    made = dcnbuild.DCNv3(16, group=2, dw_kernel_size=5, center_feature_scale=True)
    assert keys(made) == {
        "center_feature_scale_proj_weight": (2, 16),
        "center_feature_scale_proj_bias": (2,),
        "dw_conv.0.weight": (16, 1, 5, 5),
        "dw_conv.0.bias": (16,),
        "dw_conv.1.1.weight": (16,),
        "dw_conv.1.1.bias": (16,),
        **of_linear("offset", 2 * 9 * 2, 16),
        **of_linear("mask", 2 * 9, 16),
        **of_linear("input_proj", 16, 16),
        **of_linear("output_proj", 16, 16),
    }
    assert made.dw_conv[1][1].eps == 1e-6
    batch_norm = dcnbuild.DCNv3(16, norm_layer="BN", act_layer="ReLU", remove_center=True)
    assert "dw_conv.1.0.running_mean" in keys(batch_norm)
    assert batch_norm.offset.out_features == 4 * 8 * 2
    for module in (made, batch_norm):
        assert not module.offset.weight.any() and not module.mask.bias.any()
        assert not module.input_proj.bias.any() and module.output_proj.weight.any()


def test_keys_of_version_4() -> None:
    """Those of the package DCNv4: the prediction's width is rounded up to a multiple of 8."""
    made = dcnbuild.DCNv4(32, group=2, dw_kernel_size=3, output_bias=False)
    expected = {
        "offset_mask_dw.weight": (32, 1, 3, 3),
        "offset_mask_dw.bias": (32,),
        **of_linear("offset_mask", 56, 32),
        **of_linear("value_proj", 32, 32),
        "output_proj.weight": (32, 32),
    }
    assert keys(made) == expected
    assert not made.offset_mask.weight.any()
    bare = dcnbuild.DCNv4(32, without_pointwise=True, center_feature_scale=True, act_layer="GELU")
    assert set(keys(bare)) == {
        *of_linear("offset_mask", 112, 32),
        "center_feature_scale_proj_weight",
        "center_feature_scale_proj_bias",
    }


OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"center_feature_scale": True, "remove_center": True, "offset_scale": 0.5},
    {"kernel_size": 5, "pad": 4, "dilation": 2, "dw_kernel_size": 3},
    {"stride": 2},
)


def attributes_of(module: Any) -> Attributes:
    sizes = [(n, n) for n in (module.kernel_size, module.stride, module.pad, module.dilation)]
    return Attributes(*sizes, module.offset_scale, bool(module.remove_center))


def blended(module: Any, output: Tensor, values: Tensor, features: Tensor) -> Tensor:
    if not module.center_feature_scale:
        return output
    weight, bias = module.center_feature_scale_proj_weight, module.center_feature_scale_proj_bias
    share = F.linear(features, weight, bias).sigmoid()[..., None].expand(-1, -1, -1, -1, 4)
    return output * (1 - share.flatten(3)) + values * share.flatten(3)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("norm", ["LN", "BN"])
def test_version_3_by_grid_sample(options: dict[str, Any], norm: str) -> None:
    module = randomized(dcnbuild.DCNv3(16, norm_layer=norm, **options))
    x = image(2, 6, 7, 16)
    features = F.conv2d(
        x.permute(0, 3, 1, 2), module.dw_conv[0].weight, module.dw_conv[0].bias,
        stride=module.stride, padding=module.dw_conv[0].weight.shape[-1] // 2, groups=16,
    )  # fmt: skip
    layer = module.dw_conv[1][1 if norm == "LN" else 0]
    features = features.permute(0, 2, 3, 1)
    if norm == "LN":
        features = F.layer_norm(features, (16,), layer.weight, layer.bias, 1e-6)
    else:
        mean, var = features.mean((0, 1, 2)), features.var((0, 1, 2), unbiased=False)
        features = (features - mean) / (var + layer.eps).sqrt() * layer.weight + layer.bias
    features = F.gelu(features)
    places = features.shape[1:3]
    values = module.input_proj(x)
    offset = module.offset(features).view(2, *places, 4, -1, 2)
    mask = module.mask(features).view(2, *places, 4, -1).softmax(-1)
    output = grid_sampled(values.view(2, 6, 7, 4, 4), offset, mask, attributes_of(module))
    expected = module.output_proj(blended(module, output, values, features))
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4)
    assert expected.abs().max() > 0.1


@pytest.mark.parametrize("options", [*OPTIONS, {"without_pointwise": True}], ids=str)
def test_version_4_by_grid_sample(options: dict[str, Any]) -> None:
    module = randomized(dcnbuild.DCNv4(16, **options))
    x = image(2, 42, 16)
    pixels = x.view(2, 6, 7, 16)
    values = pixels if module.without_pointwise else module.value_proj(pixels)
    seen = pixels
    if module.dw_kernel_size:
        conv = module.offset_mask_dw
        seen = F.conv2d(pixels.movedim(3, 1), conv.weight, conv.bias, padding=1, groups=16).movedim(1, 3)  # fmt: skip
    packed = module.offset_mask(seen[:, :: module.stride, :: module.stride])
    taps = module.kernel_size**2 - module.remove_center
    groups = packed[..., : 4 * 3 * taps].unflatten(-1, (4, 3 * taps))
    offset, mask = groups[..., : 2 * taps].unflatten(-1, (taps, 2)), groups[..., 2 * taps :]
    output = grid_sampled(values.view(2, 6, 7, 4, 4), offset, mask, attributes_of(module))
    output = blended(module, output, values, output).flatten(1, 2)
    expected = output if module.without_pointwise else module.output_proj(output)
    torch.testing.assert_close(module(x, (6, 7)), expected, rtol=1e-4, atol=1e-4)


def test_a_square_needs_no_shape_and_derivatives_reach_every_parameter() -> None:
    for module, x in (
        (randomized(dcnbuild.DCNv3(16, center_feature_scale=True)), image(2, 4, 4, 16)),
        (randomized(dcnbuild.DCNv4(16, center_feature_scale=True)), image(2, 16, 16)),
    ):
        module(x).square().sum().backward()
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name
        with torch.autocast("cpu", torch.bfloat16):
            assert module(x).dtype == torch.bfloat16
        again = copy.deepcopy(module).bfloat16()
        assert again(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.slow
@needs("torch.compile(dynamic=True)")
def test_compiled() -> None:
    torch._dynamo.reset()
    module = randomized(dcnbuild.DCNv3(16, remove_center=True))
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend="aot_eager")
    for x in (image(2, 5, 6, 16), image(3, 7, 4, 16)):
        torch.testing.assert_close(compiled(x), module(x), rtol=1e-5, atol=1e-5)


@needs("torch.export with Dim.AUTO")
def test_exported(tmp_path: Path) -> None:
    module = randomized(dcnbuild.DCNv3(16))
    size = {0: torch.export.Dim("n"), 1: torch.export.Dim("h"), 2: torch.export.Dim("w")}
    program = torch.export.export(module, (image(2, 5, 6, 16),), dynamic_shapes=(size,))
    x = image(3, 8, 4, 16)
    torch.testing.assert_close(program.module()(x), module(x))


@pytest.mark.slow
@needs("torch.onnx.ops")
def test_onnx_has_one_grid_sample(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    module, path = randomized(dcnbuild.DCNv3(16, offset_scale=0.7)).eval(), tmp_path / "dcnv3.onnx"
    names = ({0: "n", 1: "h", 2: "w"},)
    torch.onnx.export(module, (image(2, 5, 6, 16),), path, dynamo=True, verbose=False, dynamic_shapes=names)
    assert [n.op_type for n in onnx.load(path).graph.node].count("GridSample") == 1
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = image(3, 8, 4, 16)
    output = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(output), module(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dcnbuild.DCNv3(10, group=4), "DCNv3: group=4 must divide channels=10"),
        (lambda: dcnbuild.DCNv3(8, group=0), "DCNv3: group must be at least 1, got 0"),
        (lambda: dcnbuild.DCNv3(8, pad=-1), "DCNv3: pad must be at least 0, got -1"),
        (lambda: dcnbuild.DCNv3(8, kernel_size="3"), "DCNv3: kernel_size must be an int, got '3'"),
        (lambda: dcnbuild.DCNv3(8, norm_layer="GN"), r"norm_layer must be one of .*, got 'GN'"),
        (lambda: dcnbuild.DCNv3(8, kernel_size=2, remove_center=True), "remove_center needs a kernel with odd sides"),
        (lambda: dcnbuild.DCNv3(8, stride=2, center_feature_scale=True), "stride must be 1, got 2"),
        (lambda: dcnbuild.DCNv4(32, groups=2), "no argument 'groups': it is called 'group'"),
        (lambda: dcnbuild.DCNv3(8)(torch.zeros(1, 8, 5, 5)), r"DCNv3: input has shape \(1, 8, 5, 5\), expected "
                                                             r"\(batch, height, width, 8\)"),
        (lambda: dcnbuild.DCNv3(8)([1]), "DCNv3: input must be a tensor, got list"),
        (lambda: dcnbuild.DCNv3(8, pad=0)(torch.zeros(1, 5, 5, 8)), r"DCNv3: .*5x5 .*3x3.*pad"),
        (lambda: dcnbuild.DCNv4(8)(torch.zeros(1, 30, 8)), r"DCNv4: input has 30 pixels and shape is None"),
        (lambda: dcnbuild.DCNv4(8)(torch.zeros(1, 30, 8), (4, 7)), r"shape is \(4, 7\); expected \(height, "
                                                                   r"width\) of 30"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(make: Any, message: str) -> None:
    with pytest.raises(dcnbuild.ArgumentError, match=message):
        make()
