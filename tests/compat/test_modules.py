"""The old modules and functions: arguments and their order, defaults, initialisation, keys, and torchvision's
numbers.
"""

from __future__ import annotations

import inspect
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dcnbuild
from dcnbuild.compat import dcn_v2, detectron2, mmcv, mmdet, modulated_deform_conv
from dcnbuild.compat import torchvision as compat_torchvision

REQUIRED = inspect.Parameter.empty
CONVOLUTION = {"in_channels": REQUIRED, "out_channels": REQUIRED, "kernel_size": REQUIRED}
WITH_DEFAULTS = {**CONVOLUTION, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}

#: callable → its parameters and defaults, in order
SIGNATURES: dict[Any, dict[str, Any]] = {
    dcn_v2.DCNv2: {**CONVOLUTION, "stride": REQUIRED, "padding": REQUIRED, "dilation": 1, "deformable_groups": 1},
    dcn_v2.DCN: {**CONVOLUTION, "stride": REQUIRED, "padding": REQUIRED, "dilation": 1, "deformable_groups": 1},
    dcn_v2.dcn_v2_conv: dict.fromkeys(
        ("input", "offset", "mask", "weight", "bias", "stride", "padding", "dilation", "deformable_groups"), REQUIRED),
    mmcv.DeformConv2d: {**WITH_DEFAULTS, "deform_groups": 1, "bias": False, "im2col_step": 32},
    mmcv.ModulatedDeformConv2d: {**WITH_DEFAULTS, "deform_groups": 1, "bias": True},
    mmcv.deform_conv2d: {
        "input": REQUIRED, "offset": REQUIRED, "weight": REQUIRED, "stride": 1, "padding": 0, "dilation": 1, "groups": 1,
        "deform_groups": 1, "bias": False, "im2col_step": 32},
    mmcv.modulated_deform_conv2d: {
        "input": REQUIRED, "offset": REQUIRED, "mask": REQUIRED, "weight": REQUIRED, "bias": None, "stride": 1, "padding": 0,
        "dilation": 1, "groups": 1, "deform_groups": 1},
    compat_torchvision.DeformConv2d: {**WITH_DEFAULTS, "bias": True},
    compat_torchvision.deform_conv2d: {
        "input": REQUIRED, "offset": REQUIRED, "weight": REQUIRED, "bias": None, "stride": 1, "padding": 0, "dilation": 1,
        "mask": None},
    mmdet.DeformConv: {**WITH_DEFAULTS, "deformable_groups": 1, "bias": False},
    mmdet.DeformConvPack: {**WITH_DEFAULTS, "deformable_groups": 1, "bias": False},
    mmdet.ModulatedDeformConv: {**WITH_DEFAULTS, "deformable_groups": 1, "bias": True},
    mmdet.ModulatedDeformConvPack: {**WITH_DEFAULTS, "deformable_groups": 1, "bias": True},
    modulated_deform_conv.DCN: {**WITH_DEFAULTS, "deform_groups": 1, "deformable_groups": None, "bias": True},
    detectron2.DeformConv: {**WITH_DEFAULTS, "deformable_groups": 1, "bias": False, "norm": None, "activation": None},
    detectron2.ModulatedDeformConv: {
        **WITH_DEFAULTS, "deformable_groups": 1, "bias": True, "norm": None, "activation": None},
}  # fmt: skip


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda f: f"{f.__module__}.{f.__name__}")
def test_arguments_have_their_order_and_defaults(function: Any) -> None:
    parameters = inspect.signature(function).parameters.values()
    found = {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert list(found.items()) == list(SIGNATURES[function].items())


def _tensors(groups: int, offset_groups: int, kernel: tuple[int, int], size: tuple[int, int]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    taps = offset_groups * kernel[0] * kernel[1]
    return {
        "input": torch.randn(2, 4, 9, 8, generator=generator),
        "offset": torch.randn(2, 2 * taps, *size, generator=generator) * 2,
        "mask": torch.rand(2, taps, *size, generator=generator),
    }


def _expected(module: Any, input: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None) -> Tensor:
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    result: Tensor = torchvision.ops.deform_conv2d(
        *(input, offset, module.weight, bias, (2, 1), (2, 1), (1, 2)), mask=mask
    )
    return result


GEOMETRY: dict[str, Any] = {"stride": (2, 1), "padding": (2, 1), "dilation": (1, 2)}


@pytest.mark.parametrize("groups", [1, 2])
def test_v2_modules_compute_what_torchvision_does(groups: int) -> None:
    """Unequal strides, paddings and dilations: the old col2im mixed up the paddings in the gradient of the input."""
    size = ((9 + 4 - 3) // 2 + 1, 8 + 2 - 2 * 1)
    modules = {
        mmcv.ModulatedDeformConv2d(4, 6, (3, 2), **GEOMETRY, groups=groups, deform_groups=2),
        detectron2.ModulatedDeformConv(4, 6, (3, 2), **GEOMETRY, groups=groups, deformable_groups=2),
    }
    if groups == 1:
        modules.add(dcn_v2.DCNv2(4, 6, (3, 2), **GEOMETRY, deformable_groups=2))
    for module in modules:
        nn.init.normal_(module.bias)
        tensors = [t.requires_grad_() for t in _tensors(groups, 2, (3, 2), size).values()]
        output = module(*tensors)
        expected = _expected(module, *tensors, module.bias)
        torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
        leaves = [*tensors, module.weight, module.bias]
        actual = torch.autograd.grad(output.square().sum(), leaves)
        for grad, wanted in zip(actual, torch.autograd.grad(expected.square().sum(), leaves)):
            torch.testing.assert_close(grad, wanted, rtol=1e-4, atol=1e-3)


def test_v1_modules_compute_what_torchvision_does() -> None:
    size = ((9 + 4 - 3) // 2 + 1, 8 + 2 - 2 * 1)
    t = _tensors(2, 1, (3, 2), size)
    for module in (
        mmcv.DeformConv2d(4, 6, (3, 2), **GEOMETRY, groups=2),
        detectron2.DeformConv(4, 6, (3, 2), **GEOMETRY, groups=2),
    ):
        expected = _expected(module, t["input"], t["offset"], None, None)
        torch.testing.assert_close(module(t["input"], t["offset"]), expected, rtol=1e-4, atol=1e-5)
        assert list(module.state_dict()) == ["weight"]


@pytest.mark.parametrize(
    ("module", "keys", "modulated"),
    [
        (dcn_v2.DCN(4, 6, 3, 1, 2, 2, 2), ("weight", "bias", "conv_offset_mask.weight", "conv_offset_mask.bias"), True),
        (mmcv.ModulatedDeformConv2dPack(4, 6, 3, 1, 2, 2, 2, 2), ("weight", "bias", "conv_offset.weight", "conv_offset.bias"), True),
        (mmcv.DeformConv2dPack(4, 6, 3, 1, 2, 2, 2, 2), ("weight", "conv_offset.weight", "conv_offset.bias"), False),
    ],
    ids=["DCN", "ModulatedDeformConv2dPack", "DeformConv2dPack"],
)  # fmt: skip
def test_packs_predict_their_offsets(module: Any, keys: tuple[str, ...], modulated: bool) -> None:
    """Dilation 2: DCNv2's own offset convolution left it out, and its map had another size."""
    assert tuple(module.state_dict()) == keys
    x = torch.randn(2, 4, 9, 8)
    groups = 4 // module.weight.shape[1]
    # New: offsets zero, mask one half.
    plain = nn.functional.conv2d(x, module.weight * (0.5 if modulated else 1.0), module.bias, 1, 2, 2, groups)
    torch.testing.assert_close(module(x), plain, rtol=1e-4, atol=1e-5)

    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    conv = getattr(module, module.offset_name)
    nn.init.normal_(conv.weight, std=0.1)
    nn.init.normal_(conv.bias)
    predicted = nn.functional.conv2d(x, conv.weight, conv.bias, 1, 2, 2)
    offset, mask = predicted, None
    if modulated:
        first, second, last = predicted.chunk(3, 1)
        offset, mask = torch.cat([first, second], 1), last.sigmoid()
    expected = torchvision.ops.deform_conv2d(x, offset, module.weight, module.bias, 1, 2, 2, mask)
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)


def test_initialisation() -> None:
    bound = 1 / math.sqrt(16 * 9)
    for module in (dcn_v2.DCNv2(16, 64, 3, 1, 1), mmcv.ModulatedDeformConv2d(16, 64, 3, groups=2)):
        # The fan-in counts all input channels, whatever the groups.
        assert 0.98 * bound < module.weight.abs().max() <= bound
        assert (module.bias == 0).all()
    for make in (mmcv.DeformConv2d, detectron2.DeformConv, detectron2.ModulatedDeformConv):
        torch.manual_seed(0)
        weight = torch.empty(64, 16, 3, 3)
        nn.init.kaiming_uniform_(weight, nonlinearity="relu")
        torch.manual_seed(0)
        module = make(16, 64, 3)
        assert torch.equal(module.weight, weight)
        assert module.bias is None or (module.bias == 0).all()


def test_a_small_image_is_padded_as_in_mmcv() -> None:
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    module = mmcv.DeformConv2d(2, 3, 3, padding=1)
    x, offset = torch.randn(1, 2, 2, 5), torch.randn(1, 18, 2, 5)
    padded = nn.functional.pad(x, (0, 0, 0, 1)), nn.functional.pad(offset, (0, 0, 0, 1))
    expected = torchvision.ops.deform_conv2d(*padded, module.weight, padding=1)[:, :, :2]
    torch.testing.assert_close(module(x, offset), expected, rtol=1e-4, atol=1e-5)


def test_mmcv_computes_in_the_dtype_of_the_offset() -> None:
    module = mmcv.ModulatedDeformConv2d(2, 3, 3, padding=1)
    x, mask = torch.randn(1, 2, 4, 4), torch.rand(1, 9, 4, 4)
    offset = torch.randn(1, 18, 4, 4, dtype=torch.float64)
    assert module(x, offset, mask).dtype == torch.float64


def test_detectron2_applies_norm_and_activation() -> None:
    module = detectron2.ModulatedDeformConv(2, 3, 1, norm=nn.BatchNorm2d(3), activation=torch.relu)
    assert {"norm.weight", "norm.running_mean"} <= set(module.state_dict())
    x, offset, mask = torch.randn(2, 2, 4, 4), torch.zeros(2, 2, 4, 4), torch.ones(2, 1, 4, 4)
    output = module.eval()(x, offset, mask)
    expected = torch.relu(nn.functional.conv2d(x, module.weight) / math.sqrt(1 + 1e-5))
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


def test_deformable_groups_is_still_understood_by_mmcv() -> None:
    with pytest.warns(DeprecationWarning, match="deform_groups"):
        assert mmcv.ModulatedDeformConv2dPack(4, 4, 3, deformable_groups=2).deform_groups == 2
    with pytest.raises(TypeError, match="DCNv2: missing a required argument: 'padding'"):
        dcn_v2.DCNv2(4, 4, 3, 1)
    with pytest.raises(TypeError, match="colour"):
        mmcv.DeformConv2d(4, 4, 3, colour=2)


def test_tteepes_package_takes_either_name() -> None:
    module = modulated_deform_conv.DCN(4, 4, 3, padding=1, deformable_groups=2)
    assert module.deform_groups == 2 and module(torch.zeros(1, 4, 5, 5)).shape == (1, 4, 5, 5)
    assert "conv_offset.weight" in module.state_dict()


def test_a_subclass_with_other_arguments_shows_them() -> None:
    class Own(mmcv.ModulatedDeformConv2d):
        def __init__(self, width: int) -> None:
            super().__init__(width, width, 3)

    assert list(inspect.signature(Own).parameters) == ["width"] and Own(4).out_channels == 4


@pytest.mark.parametrize("make", [mmcv.DeformConv2d, detectron2.DeformConv, mmdet.DeformConv])
def test_v1_has_no_bias(make: Any) -> None:
    assert make(4, 4, 3).bias is None
    with pytest.raises(ValueError, match="bias"):
        make(4, 4, 3, bias=True)


def test_counts_that_do_not_fit_the_tensors_are_explained() -> None:
    """Counts that do not fit raise an error, although the shapes alone would fit another number of offset groups."""
    module = dcn_v2.DCNv2(4, 6, 3, 1, 1, deformable_groups=2)
    with pytest.raises(ValueError, match="offset has 18 channels, expected 36"):
        module(torch.zeros(1, 4, 5, 5), torch.zeros(1, 18, 5, 5), torch.zeros(1, 9, 5, 5))
    with pytest.raises(ValueError, match="groups=2"):
        mmcv.deform_conv2d(torch.zeros(1, 4, 5, 5), torch.zeros(1, 18, 5, 5), torch.zeros(2, 4, 3, 3), 1, 1, 1, 2)
    with pytest.raises(ValueError, match="offset_groups=3"):
        dcn_v2.DCN(4, 6, 3, 1, 1, deformable_groups=3)


#: Modules that predict their offsets, and such as are given them.
PREDICTING = [
    dcn_v2.DCN, mmcv.DeformConv2dPack, mmcv.ModulatedDeformConv2dPack, mmdet.DeformConvPack,
    mmdet.ModulatedDeformConvPack, modulated_deform_conv.DCN,
]  # fmt: skip
GIVEN = [
    dcn_v2.DCNv2, mmcv.DeformConv2d, mmcv.ModulatedDeformConv2d, mmdet.DeformConv, mmdet.ModulatedDeformConv,
    detectron2.DeformConv, detectron2.ModulatedDeformConv,
]  # fmt: skip


class _Around(nn.Module):
    """A model with an old module somewhere inside."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.body = nn.ModuleList([nn.Conv2d(3, 4, 1), module(4, 4, 3, 1, 1)])
        self.given = module in GIVEN
        self.modulated = module in GIVEN and len(inspect.signature(module.forward).parameters) == 4
        self.offset, self.mask = nn.Conv2d(4, 18, 3, padding=1), nn.Conv2d(4, 9, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body[0](x)
        offset = (self.offset(x),) if self.given else ()
        mask = (self.mask(x).sigmoid(),) if self.modulated else ()
        return torch.relu(self.body[1](x, *offset, *mask))


@pytest.mark.parametrize("module", PREDICTING + GIVEN, ids=lambda m: f"{m.__module__}.{m.__name__}")
def test_old_modules_are_traced_by_fx_and_take_meta_tensors(module: Any) -> None:
    model, x = _Around(module), torch.rand(1, 3, 6, 5)
    expected = model(x)
    traced = torch.fx.symbolic_trace(model)
    assert torch.equal(traced(x), expected)
    traced(x).sum().backward()
    assert model.body[1].weight.grad is not None
    assert torch.equal(pickle.loads(pickle.dumps(traced))(x), expected)
    on_meta = model.to("meta")(x.to("meta"))
    assert on_meta.is_meta and on_meta.shape == expected.shape


@pytest.mark.parametrize("module", [mmdet.DeformConv, mmcv.DeformConv2d, mmcv.ModulatedDeformConv2dPack])
def test_torchscript_is_told_what_to_do_instead(module: Any) -> None:
    with pytest.raises(NotImplementedError, match=r"cannot compile .*torch.jit.trace"):
        torch.jit.script(_Around(module))


def test_torchvision_names_are_our_own() -> None:
    assert compat_torchvision.DeformConv2d is dcnbuild.DeformConv2d
    assert compat_torchvision.deform_conv2d is dcnbuild.deform_conv2d
